"""Headers that a route makes of facts of the user: plain, as JSON, in base64, or as HTTP Basic. Pure.

Who lacks a fact gets no such header: an empty one could be taken for a value that we vouch for.
"""

import json
from base64 import b64encode
from dataclasses import dataclass

from gateway.config.header_templates import Template, UserFact, read_template
from gateway.config.schema import Headers
from gateway.model import Principal
from gateway.proxy.client_headers import Pairs
from gateway.proxy.identity import clean, escaped

AUTHORIZATION = "Authorization"


@dataclass(frozen=True, slots=True)
class UserHeaders:
    """Those of a route, read once: `plain` are name and value, `basic` user and password of HTTP Basic."""

    plain: tuple[tuple[bytes, Template], ...]
    basic: tuple[Template, Template] | None

    @classmethod
    def of(cls, headers: Headers) -> "UserHeaders":
        """Read a route's settings. Raises ValueError for a value that can't be read."""
        basic = headers.basic
        return cls(
            tuple((name.encode(), read_template(value)) for name, value in headers.of_user.items()),
            (read_template(basic.username), read_template(basic.password.get_secret_value()))
            if basic
            else None,
        )

    def told(self, principal: Principal | None) -> Pairs:
        """Return the plain ones for somebody who is signed in, none for anybody else."""
        if principal is None:
            return []
        found = ((name, filled(template, principal)) for name, template in self.plain)
        return [(name, clean(value)) for name, value in found if value is not None]

    def credentials(self, principal: Principal | None) -> Pairs:
        """Return HTTP Basic for the app (RFC 7617 §2), nothing where a part of it is missing."""
        if self.basic is None or principal is None:
            return []
        username, password = (filled(template, principal) for template in self.basic)
        if username is None or password is None or ":" in username:
            return []
        return [(AUTHORIZATION.encode(), b"Basic " + b64encode(f"{username}:{password}".encode()))]


def filled(template: Template, principal: Principal) -> str | None:
    """Return the value for a user, None if the user lacks one of the facts."""
    texts = [part if isinstance(part, str) else _told(part, principal) for part in template]
    return "".join(text or "" for text in texts) if all(texts) else None


def _told(fact: UserFact, principal: Principal) -> str:
    """One fact in its form, "" where there is none. JSON is ASCII, so that every app reads it."""
    values = _values(fact.name, principal) if fact.name else ()
    if fact.name and not values:
        return ""
    if not fact.name:
        text = json.dumps(_all(principal))
    elif fact.form == "json":
        text = json.dumps(values[0] if fact.name in ("username", "name", "email") else values)
    else:
        text = ",".join(escaped(value, ",") for value in values) if len(values) > 1 else values[0]
    return b64encode(text.encode("utf-8", "replace")).decode() if fact.form == "base64" else text


def _values(name: str, principal: Principal) -> tuple[str, ...]:
    user = principal.user
    known = {
        "username": (user.username,),
        "name": (user.name,),
        "email": (user.email,),
        "groups": principal.groups,
    }
    return tuple(value for value in known.get(name, user.attribute(name)) if value)


def _all(principal: Principal) -> dict[str, object]:
    user = principal.user
    facts = {"username": user.username, "name": user.name, "email": user.email}
    attributes = {name: list(values) for name, values in user.attributes}
    return {**facts, "groups": list(principal.groups), "attributes": attributes}
