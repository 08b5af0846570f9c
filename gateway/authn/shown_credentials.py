"""What a request shows to us: which part of Authorization counts on its route, and the name in a client certificate."""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from gateway.config.schema import Route
from gateway.model import Principal

PREFIX = "agt_"


class ApiPrincipal(NamedTuple):
    """Whom the credentials stand for (None: there were none of ours). `consumed`: Authorization was for us."""

    principal: Principal | None = None
    consumed: bool = False


@dataclass(frozen=True, slots=True)
class ShownSecret:
    """A credential of ours that counts on a route, before it is checked.

    `factor` is what it proves: "token" or "password" (HTTP Basic). `username` came with a token in HTTP Basic.
    """

    factor: str
    secret: str
    username: str | None = None


def shown_on(route: Route, authorization: Sequence[str]) -> ShownSecret | ApiPrincipal | None:
    """Return what Authorization shows to us on this route.

    A token that does not count here is consumed all the same: the app must not learn it either. None: nothing of ours.
    """
    if len(authorization) != 1:
        return None
    scheme, _, value = authorization[0].strip().partition(" ")
    scheme, value = scheme.lower(), value.strip()
    if scheme == "bearer" and value.startswith(PREFIX):
        return ShownSecret("token", value) if route.tokens else ApiPrincipal(consumed=True)
    if scheme != "basic":
        return None
    username, password = name_and_password(value) or ("", "")
    if password.startswith(PREFIX) and route.tokens:  # a token may come in the place of the password
        return ShownSecret("token", password, username)
    if route.basic:
        return ShownSecret("password", value)
    return ApiPrincipal(consumed=True) if password.startswith(PREFIX) else None


def certificate_name(certificate: dict[str, Any]) -> str:
    """Return the first alternative name of a certificate, else its common name, "" without either (RFC 9525 prefers
    the former).
    """
    for kind in ("email", "DNS", "URI"):
        for have, value in certificate.get("subjectAltName", ()):
            if have == kind:
                return _plain(str(value))
    names = [value for part in certificate.get("subject", ()) for key, value in part if key == "commonName"]
    return _plain(str(names[0])) if len(names) == 1 else ""


def _plain(name: str) -> str:
    return name if name.isprintable() and "," not in name and len(name) <= 128 else ""


def name_and_password(value: str) -> tuple[str, str] | None:
    """Return what HTTP Basic holds, None for what is neither.

    UTF-8 is what we ask for (RFC 7617 §2.1); programs that don't read that send Latin-1, which hardly ever is UTF-8 by
    chance.
    """
    try:
        raw = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return None
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    username, colon, password = text.partition(":")
    return (username, password) if username and colon else None
