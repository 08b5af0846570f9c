"""What of a SCIM user is ours, and how a user of ours is shown as one. Pure."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from gateway.config.names import user_name
from gateway.directory import identifiers
from gateway.errors import InvalidUser
from gateway.model import User
from gateway.scim.models import POLICY, Context, ScimUser
from gateway.stores.protocols.scim import Provisioned

_ENTERPRISE = ("department", "division", "organization", "costCenter", "employeeNumber")
_SCHEMA = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
_OURS = ("id", "meta", "groups", "password")
"""Of a resource that is kept, what is worked out anew each time, and what must not be kept."""
_LARGEST = 64 * 1024
LONGEST_EXTERNAL_ID = 300


@dataclass(frozen=True, slots=True)
class UserFacts:
    """Reads SCIM users as ours, and ours as SCIM users.

    `attributes` are names of our attributes, each with the SCIM attribute it comes from; `country` is that of numbers
    without country code; `base` is the URL of the service.
    """

    attributes: Mapping[str, str]
    country: str
    base: str

    def meant(self, resource: Any, before: User) -> User:
        """Return the user that a SCIM resource describes, who is `before` until now.

        Groups stay: they come by groups (RFC 7643 §4.1.2). So does what no SCIM attribute is named for. Who is not said
        to be active or not stays so. Raises InvalidUser.
        """
        kept = {name: values for name, values in before.attributes if name not in self.attributes}
        told = {name: _texts(_fact(resource, source)) for name, source in self.attributes.items()}
        return replace(
            before,
            name=_name(resource),
            email=_email(resource),
            phone=self._number(_phone(resource)),
            disabled=before.disabled if resource.active is None else not resource.active,
            attributes=identifiers.attributes({**kept, **told}),
        )

    def shown(self, user: User, known: Provisioned, groups: Iterable[Provisioned]) -> Any:
        """Return a user as a SCIM resource: what was written last, with what has changed here since."""
        resource = written(known)
        resource.user_name = _spelling(resource.user_name, user.username)
        resource.active = not user.disabled
        if user.name != _name(resource):
            resource.name, resource.display_name = None, user.name or None
        if user.email != _email(resource):
            mail = {"value": user.email, "type": "work", "primary": True}
            resource["emails"] = [mail] if user.email else None
        if user.phone != self._number(_phone(resource)):
            resource["phoneNumbers"] = [{"value": user.phone, "type": "mobile"}] if user.phone else None
        fields = json.loads(resource.model_dump_json(scim_ctx=Context.DEFAULT))
        return ScimUser.model_validate(
            {
                **fields,
                "id": known.id,
                "externalId": known.external_id or None,
                "groups": [reference(one, self.base) for one in groups] or None,
                "meta": meta(known, self.base, user.created_at),
            },
            scim_policy=POLICY,
        )

    def _number(self, number: str) -> str:
        """The number that codes go to: none where what the program wrote is no number (an extension, a word)."""
        try:
            return identifiers.phone(number, country=self.country)
        except InvalidUser:
            return ""


def written(known: Provisioned) -> Any:
    """Return what a program last wrote of a user; an empty user where it wrote nothing."""
    if not known.resource:
        return ScimUser(user_name=known.name)
    return ScimUser.model_validate_json(known.resource, scim_policy=POLICY)


def as_kept(resource: Any) -> str:
    """Return a resource as JSON, without what must not or need not be kept. Raises InvalidUser for a large one."""
    fields: dict[str, object] = json.loads(resource.model_dump_json(scim_ctx=Context.DEFAULT))
    text = json.dumps({name: value for name, value in fields.items() if name not in _OURS})
    if len(text) > _LARGEST:
        raise InvalidUser(f"a user has at most {_LARGEST} characters of SCIM attributes")
    return text


def external_id(resource: Any) -> str:
    """Return what a program calls a resource, "" for nothing. Raises InvalidUser."""
    text: str = resource.external_id or ""
    if len(text) > LONGEST_EXTERNAL_ID or not text.isprintable():
        raise InvalidUser(f"externalId has at most {LONGEST_EXTERNAL_ID} characters that can be read")
    return text


def meta(known: Provisioned, base: str, created: float) -> dict[str, object]:
    """Return the attribute `meta` (RFC 7643 §3.1). `created` is in Unix seconds, 0 where nobody knows."""
    changed = max(known.changed_at, created)
    return {
        "resourceType": known.kind.capitalize(),
        "created": _moment(created or changed),
        "lastModified": _moment(changed),
        "location": location(known, base),
    }


def location(known: Provisioned, base: str) -> str:
    """Return the URL of a resource."""
    return f"{base}/{known.kind.capitalize()}s/{known.id}"


def reference(known: Provisioned, base: str) -> dict[str, object]:
    """Return how another resource points to one (RFC 7643 §2.4)."""
    return {"value": known.id, "display": known.name, "$ref": location(known, base)}


def _name(resource: Any) -> str:
    name = resource.name
    if resource.display_name or name is None:
        return (resource.display_name or "").strip()
    parts = " ".join(part for part in (name.given_name, name.family_name) if part)
    return (name.formatted or parts).strip()


def _email(resource: Any) -> str:
    return _chosen(resource.emails, "work")


def _phone(resource: Any) -> str:
    """The number for codes: the mobile one, before any other."""
    numbers = resource.phone_numbers or ()
    mobile = [one for one in numbers if (one.type or "").lower() == "mobile"]
    return _chosen(mobile or numbers, "mobile")


def _chosen(values: Iterable[Any] | None, kind: str) -> str:
    """The primary one, else the first of a kind, else the first."""
    given = [one for one in values or () if one.value]
    ranked = sorted(given, key=lambda one: (not one.primary, (one.type or "").lower() != kind))
    return str(ranked[0].value).strip() if ranked else ""


def _fact(resource: Any, source: str) -> object:
    return resource[f"{_SCHEMA}:{source}" if source in _ENTERPRISE else source]


def _texts(value: object) -> list[str]:
    return [] if value is None else [str(value)]


def _spelling(given: str | None, username: str) -> str:
    """The name as the program spells it, if it still is the user's (userName does not care for capitals)."""
    return given if given and user_name(given) == username else username


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
