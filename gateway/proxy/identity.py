"""How an app is told who the user is: in headers, and in a signed statement that it can verify (X-Auth-Assertion).

The statement is an ES256 JWT (RFC 7519, RFC 7518 §3.4); the public keys are at `{prefix}/jwks.json`. One is made per
session and host and used again until shortly before it expires, since signing costs more than the rest of a request.
"""

import json
import re
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any

from joserfc import jwt
from joserfc.jwk import ECKey

from gateway.clock import Clock
from gateway.config.sections.header_presets import Fact, HeaderFact
from gateway.model import Principal
from gateway.proxy.client_headers import Pairs

LIFETIME = 300
_REUSE_UNTIL = 90  # seconds of life that a reused assertion must still have
_CACHE_SIZE = 20_000
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def identity(
    principal: Principal | None, assertion: str | None, told: Iterable[tuple[bytes, HeaderFact]]
) -> Pairs:
    """Who the user is, under the names that the route wants (`told`).

    Nobody signed in: nothing, so that absence means it.
    """
    if principal is None:
        return []
    facts = facts_of(principal, assertion)
    return [(name, clean(says.before + facts[says.fact])) for name, says in told if facts[says.fact]]


def facts_of(principal: Principal, assertion: str | None) -> dict[Fact, str]:
    """What headers can tell. A group's name can't hold the sign that separates groups."""
    user = principal.user
    return {
        "username": user.username,
        "name": user.name,
        "email": user.email,
        "groups": ",".join(escaped(group, ",") for group in principal.groups),
        "groups_piped": "|".join(escaped(group, "|") for group in principal.groups),
        "assertion": assertion or "",
    }


def escaped(group: str, separator: str) -> str:
    """The name without the separator, and different names for different groups: `%2C` as it stands is `%252C`."""
    code = f"%{ord(separator):02X}"
    if separator not in group and "%" not in group:
        return group
    written = re.sub(f"%(?=(?:25)*{code[1:]})", "%25", group)
    return written.replace(separator, code)


def clean(text: str) -> bytes:
    """A value that can't end its header line, whatever a directory holds."""
    return _CONTROL.sub(" ", text).strip().encode("utf-8", "replace")


class _PlainText(json.JSONEncoder):
    """UTF-8 instead of \\u escapes, which HAProxy's JSON reader does not know."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{**options, "ensure_ascii": False})


def _same_claims(known: Principal, principal: Principal) -> bool:
    """Whether an assertion says of one what it would say of the other."""
    if known is principal:
        return True
    return (
        known.user == principal.user
        and known.groups == principal.groups
        and known.amr == principal.amr
        and int(known.session.auth_time) == int(principal.session.auth_time)
    )


class Assertions:
    """Issues assertions and publishes their keys.

    Args:
        issuer: `server.public_url`.
        keys: returns the signing keys, newest first; the newest signs, all are published.
        clock: Unix seconds.
    """

    def __init__(self, issuer: str, keys: Callable[[], list[ECKey]], clock: Clock) -> None:
        self._issuer, self._keys, self._clock = issuer, keys, clock
        self.issuer = issuer
        self._cache: OrderedDict[tuple[str, str], tuple[float, Principal, str]] = OrderedDict()

    def issue(self, principal: Principal, audience: str) -> str:
        """Return a JWT for `audience` (the route's host) about the principal, good for at least 90 more seconds."""
        now = self._clock()
        slot = (principal.session.sid, audience)
        cached = self._cache.get(slot)
        if cached and cached[0] - now > _REUSE_UNTIL and _same_claims(cached[1], principal):
            return cached[2]
        token = self._sign(principal, audience, int(now))
        self._cache[slot] = (now + LIFETIME, principal, token)
        self._cache.move_to_end(slot)
        if len(self._cache) > _CACHE_SIZE:
            self._cache.popitem(last=False)
        return token

    def jwks(self) -> str:
        """Return the public keys as a JSON Web Key Set (RFC 7517 §5), serialised."""
        return json.dumps(
            {"keys": [key.as_dict(private=False, use="sig", alg="ES256") for key in self._keys()]}
        )

    def _sign(self, principal: Principal, audience: str, now: int) -> str:
        claims = {
            "iss": self._issuer,
            "aud": audience,
            "sub": principal.username,
            "name": principal.user.name,
            "email": principal.user.email,
            "groups": list(principal.groups),
            "amr": list(principal.amr),
            "auth_time": int(principal.session.auth_time),
            "sid": principal.session.sid,
            "iat": now,
            "exp": now + LIFETIME,
        }
        return self.sign(claims)

    def sign(self, claims: dict[str, Any]) -> str:
        """Return a JWT (RFC 7519) of these claims, signed by the newest key."""
        key = self._keys()[0]
        return jwt.encode({"alg": "ES256", "typ": "JWT", "kid": key.kid}, claims, key, encoder_cls=_PlainText)
