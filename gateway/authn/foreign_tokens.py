"""Tokens that other issuers sign for programs: CI runners, Kubernetes service accounts, services in a cloud (RFC 7519).

A token counts where a route names its issuer, and proves "token", as our own do. It is good for as long as it says;
only whether its signature is right is remembered, for a minute.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from typing import Any

from gateway.authn.federation.claims import claim_texts
from gateway.authn.issuer_keys import IssuerKeys, NotVerified
from gateway.authn.kept_principals import KeptPrincipals
from gateway.authn.shown_credentials import ApiPrincipal, NotAccepted, OutOfScope, ShownSecret
from gateway.authn.verified_cache import VerifiedCache
from gateway.clock import Clock
from gateway.config.names import LONGEST_NAME, user_name
from gateway.config.patterns import glob_test
from gateway.config.schema import Route
from gateway.config.sections.foreign_jwt import ForeignIssuer
from gateway.model import Target, User
from gateway.observability.audit import Audit
from gateway.rate_limits import TOKENS_PER_IP, RateLimits, network_of
from gateway.stores.protocols.ledger import Ledger

LEEWAY = 60.0
"""Seconds by which the issuer's clock and ours may differ."""
PREFIX = "jwt:"
_CLAIM = re.compile(r"\{([^{}]+)\}")
_NAME = re.compile(r"[A-Za-z0-9._/@:+=~-]+")
_LONGEST_JTI = 1000
_LONGEST_ONCE = 86400.0
"""Seconds for which used tokens are remembered at most: no token that counts once may live longer."""
_LATEST = 1e12


@dataclass(frozen=True, slots=True)
class Verified:
    """A token whose signature is right. What it says is judged again at each request."""

    claims: Mapping[str, Any]
    algorithm: str
    users: dict[int, User] = field(default_factory=dict)
    """Whom it stands for, by the entry of the configuration that takes it."""
    principals: KeptPrincipals = field(default_factory=KeptPrincipals)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a token does not count, in one word for the audit log."""

    reason: str
    in_scope: bool = True
    """False for a right token that was not made for this."""

    def to_raise(self) -> NotAccepted | OutOfScope:
        detail = f"token of another issuer: {self.reason}"
        # RFC 6750 §3.1
        return NotAccepted(detail, 'Bearer error="invalid_token"') if self.in_scope else OutOfScope(detail)


class ForeignTokens:
    """Reads tokens of other issuers, one per worker."""

    def __init__(self, limits: RateLimits, audit: Audit, ledger: Ledger, clock: Clock) -> None:
        self._limits, self._audit, self._ledger, self._clock = limits, audit, ledger, clock
        self._issuers: dict[str, IssuerKeys] = {}
        self._verified: VerifiedCache[Verified] = VerifiedCache(clock)

    def slot_of(self, shown: ShownSecret) -> str:
        """Return what `known` knows a token by."""
        return self._verified.slot_of(shown.secret)

    async def read(self, route: Route, target: Target, shown: ShownSecret) -> ApiPrincipal:
        """Return whom a token stands for on this route.

        Raises NotAccepted, OutOfScope, TooManyAttempts, IssuerUnavailable and StoreUnavailable.
        """
        address = str(target.client)
        entries = [one for one in route.jwt if one.issuer == shown.issuer]
        try:
            check = partial(self._verify, entries[0], address, shown.secret)
            verified = await self._verified.get(shown.secret, address, check)
            taken = self._judge(verified, entries)
            if isinstance(taken, ForeignIssuer) and taken.once:
                taken = await self._spend(verified, taken)
        except NotVerified as error:
            taken = Refusal(error.reason)
        if isinstance(taken, Refusal):
            self._audit.record(
                "jwt_refused", "", address, issuer=shown.issuer, route=route.label, reason=taken.reason
            )
            await self._limits.spend(TOKENS_PER_IP, network_of(address))
            raise taken.to_raise()
        if id(taken) not in verified.users:
            user = verified.users[id(taken)] = User(
                username=_name(taken, verified.claims), groups=taken.as_.groups
            )
            self._audit.record("jwt_used", user.username, address, issuer=shown.issuer, route=route.label)
        return self._stands_for(verified, taken, address)

    def known(self, slot: str, issuer: str, route: Route, address: str) -> ApiPrincipal | None:
        """Return what `read` would, if it need ask nobody and would not refuse; waits for nothing."""
        verified = self._verified.known(slot)
        if verified is None:
            return None
        taken = self._judge(verified, [one for one in route.jwt if one.issuer == issuer])
        if isinstance(taken, Refusal) or taken.once or id(taken) not in verified.users:
            return None
        return self._stands_for(verified, taken, address)

    def _stands_for(self, verified: Verified, taken: ForeignIssuer, address: str) -> ApiPrincipal:
        user = verified.users[id(taken)]
        principal = verified.principals.get(user, "token", user.username, address, self._clock())
        return ApiPrincipal(principal, consumed=not taken.pass_on)

    async def _verify(self, entry: ForeignIssuer, address: str, token: str) -> Verified:
        await self._limits.check(TOKENS_PER_IP, network_of(address))
        if entry.issuer not in self._issuers:
            self._issuers[entry.issuer] = IssuerKeys(entry, self._clock)
        return Verified(*await self._issuers[entry.issuer].verified(token))

    def _judge(self, verified: Verified, entries: Sequence[ForeignIssuer]) -> ForeignIssuer | Refusal:
        """The first entry that takes the token; else why the one that it was closest to does not."""
        claims, now = verified.claims, self._clock()
        if refusal := _objection_of_time(claims, now):
            return refusal
        closest = Refusal("audience")
        for entry in entries:
            if claims.get("iss") != entry.issuer or not _is_for(claims.get("aud"), entry.audience):
                continue
            if verified.algorithm not in entry.algorithms:
                closest = Refusal("algorithm")
            elif not all(_holds(claims, path, patterns) for path, patterns in entry.claims.items()):
                closest = Refusal("claims", in_scope=False)
            elif not _name(entry, claims):
                closest = Refusal("name", in_scope=False)
            else:
                return entry
        return closest

    async def _spend(self, verified: Verified, entry: ForeignIssuer) -> ForeignIssuer | Refusal:
        """RFC 7519 §4.1.7: an issuer gives no two tokens the same `jti`. It is remembered until the token ends."""
        jti = verified.claims.get("jti")
        if not isinstance(jti, str) or not 0 < len(jti) <= _LONGEST_JTI:
            return Refusal("no_jti")
        seen = sha256(f"{entry.issuer} {jti}".encode(errors="surrogatepass")).hexdigest()
        left = float(verified.claims["exp"]) + LEEWAY - self._clock()
        if left > _LONGEST_ONCE:
            return Refusal("lives_too_long")
        return entry if await self._ledger.claim_once(f"jwt:{seen}", left + 1) else Refusal("used_before")

    async def close(self) -> None:
        """Close the connections to the issuers."""
        for issuer in self._issuers.values():
            await issuer.close()


def _objection_of_time(claims: Mapping[str, Any], now: float) -> Refusal | None:
    """`exp` must be there; `nbf` and `iat` count where they are (RFC 7519 §4.1)."""
    if not _is_number(claims.get("exp")):
        return Refusal("no_expiry")
    if now >= claims["exp"] + LEEWAY:
        return Refusal("expired")
    for key in ("nbf", "iat"):
        if key in claims and not (_is_number(claims[key]) and claims[key] <= now + LEEWAY):
            return Refusal("not_yet")
    return None


def _is_number(value: object) -> bool:
    """Whether this is a time: a number, and none that nobody can calculate with."""
    return isinstance(value, int | float) and not isinstance(value, bool) and -_LATEST < value < _LATEST


def _is_for(audience: object, wanted: Sequence[str]) -> bool:
    audiences = audience if isinstance(audience, list) else [audience]
    return any(isinstance(one, str) and one in wanted for one in audiences)


def _holds(claims: Mapping[str, Any], path: str, patterns: Sequence[str]) -> bool:
    tests = [glob_test(pattern) for pattern in patterns]
    return any(test(text) for text in claim_texts(claims, path) for test in tests)


def _name(entry: ForeignIssuer, claims: Mapping[str, Any]) -> str:
    """What the program is called, "" where a claim is missing, has several values or signs that no name has."""
    template = entry.as_.user
    values = {path: claim_texts(claims, path) for path in _CLAIM.findall(template)}
    if any(len(one) != 1 or not _NAME.fullmatch(one[0]) for one in values.values()):
        return ""
    name = PREFIX + user_name(_CLAIM.sub(lambda match: values[match[1]][0], template))
    return name if len(name) <= LONGEST_NAME else ""
