"""What the OpenID provider tells apps about users: claims of the operator's own, and groups as one app hears them."""

from typing import Annotated, Any

from pydantic import Field, GetJsonSchemaHandler, StringConstraints, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from gateway.config.names import GroupName
from gateway.config.sections.base import Section, Words

CLAIMS_OF_SCOPES: dict[str, tuple[str, ...]] = {
    "profile": ("name", "preferred_username"),
    "email": ("email", "email_verified"),
    "phone": ("phone_number", "phone_number_verified"),
    "groups": ("groups",),
}
"""What the scopes of OpenID Connect Core §5.4, and our own `groups`, stand for: claims that we make ourselves."""
MADE_BY_US = frozenset(name for names in CLAIMS_OF_SCOPES.values() for name in names)
MORE_OF_PROFILE = frozenset(
    {
        "family_name",
        "given_name",
        "middle_name",
        "nickname",
        "profile",
        "picture",
        "website",
        "gender",
        "birthdate",
        "zoneinfo",
        "locale",
    }
)
"""What `profile` stands for as well (OpenID Connect Core §5.4), where the operator says how it is made."""
OF_THE_PROTOCOL = frozenset(
    {
        *("iss", "sub", "aud", "exp", "nbf", "iat", "jti", "events", "toe", "txn"),
        *("auth_time", "nonce", "acr", "amr", "azp", "sid", "at_hash", "c_hash", "s_hash", "sub_jwk"),
        *("client_id", "scope", "cnf", "act", "may_act", "sub_id", "authorization_details"),
        *("active", "token_type", "username", "_claim_names", "_claim_sources"),
    }
)
"""Claims by which tokens are checked (RFC 7519 §4.1, RFC 7662 §2.2, RFC 9068 §2.2, OpenID Connect Core §2): no fact of
a user stands there.
"""

GroupPattern = Annotated[
    str, StringConstraints(min_length=1, max_length=200), Words("a group, or a glob such as `app-*`")
]


class OwnScope(Section):
    """A scope of the operator's own. Text alone is `text`, a list alone is `claims`."""

    text: str = Field("", description="what users read about it on the consent page")
    claims: tuple[str, ...] = Field((), description="claims that it stands for")

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {"text": value}
        whole = {"claims": value} if isinstance(value, list | tuple) else value
        if isinstance(whole, dict) and isinstance(whole.get("claims"), list):
            # What comes from here is no JSON any more, where a list would do.
            whole = {**whole, "claims": tuple(whole["claims"])}
        return whole

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core: CoreSchema, handler: GetJsonSchemaHandler, /
    ) -> JsonSchemaValue:
        """Editors must accept the short forms, too."""
        whole = super().__get_pydantic_json_schema__(core, handler)
        for field in whole["properties"].values():
            field.pop("title", None)
        texts: JsonSchemaValue = {"type": "array", "items": {"type": "string"}}
        return {"anyOf": [{"type": "string"}, texts, whole]}


class ToldGroups(Section):
    """The groups of its users as an app hears them. Rules and policies see all of them, under their own names."""

    only: tuple[GroupPattern, ...] = Field((), description="groups that it is told; default is all")
    map: dict[GroupName, GroupName] = Field(
        default_factory=dict, description="group -> what the app calls it; others keep their name"
    )
    prefix: str = Field("", max_length=50, description="goes before each name that is not in `map`")
