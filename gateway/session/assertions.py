"""Signs statements about the principal that upstream apps can verify (X-Auth-Assertion).

An ES256 JWT (RFC 7519, RFC 7518 §3.4); the public keys are at `{prefix}/jwks.json`. One is made per session and host
and used again until shortly before it expires, since signing costs more than the rest of a request.
"""

import json
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from joserfc import jwt
from joserfc.jwk import ECKey

from gateway.clock import Clock
from gateway.model import Principal

LIFETIME = 300
_REUSE_UNTIL = 90  # seconds of life that a reused assertion must still have
_CACHE_SIZE = 20_000


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
