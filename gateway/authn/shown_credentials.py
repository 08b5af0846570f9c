"""What a request shows to us: which part of Authorization counts on its route, and the name in a client certificate."""

import base64
import binascii
import json
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from gateway.config.schema import Route
from gateway.errors import GatewayError
from gateway.i18n.text import N_
from gateway.model import Principal, Target

PREFIX = "agt_"
ACCESS_TOKEN = "access token"  # noqa: S105 - a name
"""What `ShownSecret.factor` says of a token of our OpenID provider. It proves nothing: its sign-in did."""


class NotAccepted(GatewayError):
    """Credentials were given and are wrong. `challenge` goes into WWW-Authenticate (RFC 9110 §11.6.1)."""

    status = 401
    public = N_("These credentials are not accepted here.")

    def __init__(self, detail: str, challenge: str) -> None:
        super().__init__(detail)
        self.challenge = challenge


class OutOfScope(GatewayError):
    """The token is right, but was not made for this route."""

    status = 403
    public = N_("This token is not meant for this.")


class ApiPrincipal(NamedTuple):
    """Whom the credentials stand for (None: there were none of ours). `consumed`: Authorization was for us."""

    principal: Principal | None = None
    consumed: bool = False


@dataclass(frozen=True, slots=True)
class ShownSecret:
    """A credential of ours that counts on a route, before it is checked.

    `factor` is what it proves: "token" or "password" (HTTP Basic). `username` came with a token in HTTP Basic. `issuer`
    is what a token of another issuer says of where it comes from.
    """

    factor: str
    secret: str
    username: str | None = None
    issuer: str = ""


class ReadsAccessTokens(Protocol):
    """Reads access tokens of the OpenID provider."""

    async def read(self, route: Route, target: Target, text: str) -> Principal:
        """Return whom a token stands for on a route. Raises NotAccepted, TooManyAttempts and StoreUnavailable."""
        ...


class NoAccessTokens:
    """Stands where there is no OpenID provider: no token counts."""

    async def read(self, route: Route, target: Target, text: str) -> Principal:
        """Refuse every token. Raises NotAccepted."""
        raise NotAccepted("there is no OpenID provider", 'Bearer error="invalid_token"')


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
    if scheme == "bearer" and route.jwt and (issuer := issuer_of(value)) in {one.issuer for one in route.jwt}:
        return ShownSecret("token", value, issuer=issuer)
    if scheme == "bearer" and route.oauth is not None:
        return ShownSecret(ACCESS_TOKEN, value)
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


def certificate_user(certificate: dict[str, Any], now: float) -> str:
    """Return as whom a certificate counts, "" for nobody: it has no name, or has expired since the handshake.

    Connections and TLS sessions may outlive it.
    """
    until, name = certificate.get("notAfter"), certificate_name(certificate)
    sound = isinstance(until, str) and now <= ssl.cert_time_to_seconds(until)
    return f"cert:{name}" if name and sound else ""


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


def issuer_of(token: str) -> str:
    """Return who a JWT says has issued it, "" for what is no JWT. Nothing is verified here."""
    parts = token.split(".")
    if len(parts) != 3:
        return ""
    try:
        claims = json.loads(base64.urlsafe_b64decode(f"{parts[1]}==="))
    except (ValueError, RecursionError):
        return ""
    issuer = claims.get("iss") if isinstance(claims, dict) else None
    return issuer if isinstance(issuer, str) else ""


def shows_several(route: Route, authorization: Sequence[str]) -> bool:
    """Whether Authorization came more than once where it may be for us: then the app gets none of it."""
    return len(authorization) > 1 and (
        route.tokens or route.basic or bool(route.jwt) or route.oauth is not None
    )
