"""The key `jwt` of a route: tokens that other issuers sign for programs (CI runners, Kubernetes, cloud services)."""

from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import Field, StringConstraints

from gateway.config.names import GroupName
from gateway.config.sections.base import Section, Words
from gateway.config.sections.identity_providers import HttpsUrl

Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
ALGORITHMS: frozenset[str] = frozenset(get_args(Algorithm))
"""Signatures by a key that only the issuer has; never "none", never an HMAC."""
Audience = Annotated[str, StringConstraints(min_length=1, max_length=500)]
Pattern = Annotated[
    str, StringConstraints(min_length=1, max_length=500), Words("a value, or a glob such as `acme/*`")
]
NameTemplate = Annotated[
    str,
    StringConstraints(pattern=r"^(?:[A-Za-z0-9._/@:+=~-]|\{[^{}\s]+\})+$", max_length=200),
    Words("a name with claims in braces, such as `github:{repository}`"),
]


class JwtPrincipal(Section):
    """Whom rules, logs and the app see. Nobody else has such a name: all of them begin with `jwt:`."""

    user: NameTemplate = Field(
        description="their name behind `jwt:`, with claims in braces: `github:{repository}`"
    )
    groups: tuple[GroupName, ...] = Field((), description="their groups, for rules and the app")


class ForeignIssuer(Section):
    """Tokens of one issuer that count on this route. All conditions must hold; see docs/service-accounts.md."""

    issuer: HttpsUrl = Field(description="`iss`, exactly as the issuer spells it")
    audience: tuple[Audience, ...] = Field(
        description="`aud` must be, or hold, one of these: what the program asks its issuer for"
    )
    claims: dict[str, tuple[Pattern, ...]] = Field(
        description="claim -> what it may be, exactly or by globs (`*` stops at a slash, `**` does not); "
        "a dot leads into a nested claim; all must hold",
    )
    as_: JwtPrincipal = Field(alias="as", description="who that is, for rules and the app")
    algorithms: tuple[Algorithm, ...] = Field(("RS256", "ES256"), description="signatures that count")
    once: bool = Field(False, description="each token counts for one request; it needs a `jti`")
    pass_on: bool = Field(False, description="the app gets the token, too")
    jwks_url: HttpsUrl | None = Field(
        None, description="where the keys are, for issuers without discovery; default is what discovery says"
    )
    jwks_file: Path | None = Field(
        None, description="the keys themselves, a JWK set: nothing is fetched then"
    )
    ca_file: Path | None = Field(
        None, description="PEM bundle to trust for the issuer instead of the system's"
    )
    bearer_file: Path | None = Field(
        None,
        description="a token to show when the keys are fetched, as Kubernetes wants it; read each time",
    )
