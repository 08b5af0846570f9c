"""API credentials: turns an Authorization header or a client certificate into a Principal, where the route allows it.

A token that a user made stands for that user, as the directory has them now. A token proves "token", a certificate
"certificate", HTTP Basic "password": one factor each, never two. What is ours in Authorization is consumed here and
never reaches an upstream. Failures are audited and count against the limits.
"""

import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from hashlib import sha256
from typing import Any

from gateway.authn.foreign_tokens import ForeignTokens
from gateway.authn.kept_principals import KeptPrincipals, proven_now
from gateway.authn.password_check import PasswordCheck
from gateway.authn.shown_credentials import (
    ACCESS_TOKEN,
    PREFIX,
    ApiPrincipal,
    NoAccessTokens,
    NotAccepted,
    OutOfScope,
    ReadsAccessTokens,
    ShownSecret,
    certificate_user,
    name_and_password,
    shown_on,
    shows_several,
)
from gateway.authn.verified_cache import VerifiedCache
from gateway.clock import Clock
from gateway.config.names import user_name
from gateway.config.schema import Route
from gateway.directory.base import Directory
from gateway.model import Principal, Target, User
from gateway.observability.audit import Audit
from gateway.rate_limits import PASSWORD_PER_IP, TOKENS_PER_IP, RateLimits, network_of
from gateway.stores.protocols.core import Change
from gateway.stores.protocols.tokens import ApiToken, ApiTokens

_NOTE_USE_AFTER = 60.0


@dataclass(frozen=True, slots=True)
class Bearer:
    """A token that is right, and the user or service account that it stands for."""

    token: ApiToken
    user: User
    principals: KeptPrincipals = field(default_factory=KeptPrincipals)


@dataclass(frozen=True, slots=True)
class RightPassword:
    """Whose HTTP Basic it is."""

    user: User
    principals: KeptPrincipals = field(default_factory=KeptPrincipals)


@dataclass(frozen=True, slots=True)
class Presented:
    """Credentials as a client presents them on a route again and again: `shown`, from `address`.

    `slot` is what the cache of those that are right knows them by, "" where they are none of ours.
    """

    shown: ShownSecret | ApiPrincipal
    slot: str
    address: str


class ApiCredentials:
    """Reads API credentials, one per worker. `keys` are hash keys for tokens, newest first; `own` says whether tokens
    that users made count.
    """

    def __init__(
        self,
        tokens: ApiTokens,
        directory: Directory,
        passwords: PasswordCheck,
        limits: RateLimits,
        audit: Audit,
        keys: Callable[[], Sequence[bytes]],
        clock: Clock,
        *,
        own: bool,
        foreign: ForeignTokens,
    ) -> None:
        self._tokens, self._directory, self._own, self.foreign = tokens, directory, own, foreign
        self._passwords, self._limits = passwords, limits
        self._audit, self._keys, self._clock = audit, keys, clock
        self._right_tokens: VerifiedCache[Bearer] = VerifiedCache(clock)
        self._right_passwords: VerifiedCache[RightPassword] = VerifiedCache(clock)
        self.access_tokens: ReadsAccessTokens = NoAccessTokens()

    async def read(
        self, route: Route, target: Target, authorization: Sequence[str], certificate: dict[str, Any] | None
    ) -> ApiPrincipal:
        """Return whom the request's credentials stand for on this route.

        `authorization` are the values of Authorization, `certificate` is the client's as `ssl.getpeercert` gives it.

        Raises NotAccepted, OutOfScope, TooManyAttempts and StoreUnavailable.
        """
        shown = shown_on(route, authorization)
        if isinstance(shown, ShownSecret) and shown.issuer:
            return await self.foreign.read(route, target, shown)
        if isinstance(shown, ShownSecret) and shown.factor == ACCESS_TOKEN:
            return ApiPrincipal(await self.access_tokens.read(route, target, shown.secret), consumed=True)
        if isinstance(shown, ShownSecret):
            right = await self._check(target, shown)
            if refusal := self._objection(right, route, target.method, shown):
                if isinstance(refusal, OutOfScope):
                    name, ip = right.user.username, str(target.client)
                    self._audit.record("token_out_of_scope", name, ip, route=route.label)
                raise refusal
            return ApiPrincipal(self._principal(right, route, str(target.client), shown), consumed=True)
        now, counts = self._clock(), shown is None and route.client_cert
        if counts and certificate and (sid := certificate_user(certificate, now)):
            return ApiPrincipal(proven_now(User(sid), "certificate", sid, str(target.client), now))
        return shown or ApiPrincipal(consumed=shows_several(route, authorization))

    def presented(self, route: Route, address: str, authorization: Sequence[str]) -> Presented:
        """Return what `known` needs of a request with this Authorization; `address` is the client's."""
        shown = shown_on(route, authorization)
        if isinstance(shown, ShownSecret) and shown.issuer:
            return Presented(shown=shown, slot=self.foreign.slot_of(shown), address=address)
        if isinstance(shown, ShownSecret):
            cache = self._right_tokens if shown.factor == "token" else self._right_passwords
            return Presented(shown=shown, slot=cache.slot_of(shown.secret), address=address)
        shown = shown or ApiPrincipal(consumed=shows_several(route, authorization))
        return Presented(shown=shown, slot="", address=address)

    def known(self, presented: Presented, route: Route, method: str) -> ApiPrincipal | None:
        """Return what `read` would, without a certificate, if it need not check anything anew and would not refuse.

        It waits for nothing, and nothing is noted.
        """
        shown = presented.shown
        if not isinstance(shown, ShownSecret):
            return shown
        if shown.issuer:
            return self.foreign.known(presented.slot, shown.issuer, route, presented.address)
        if shown.factor == ACCESS_TOKEN:  # its grant may have ended just now: the store is asked each time
            return None
        cache = self._right_tokens if shown.factor == "token" else self._right_passwords
        right: Bearer | RightPassword | None = cache.known(presented.slot)
        if right is None or self._objection(right, route, method, shown):
            return None
        return ApiPrincipal(self._principal(right, route, presented.address, shown), consumed=True)

    async def close(self) -> None:
        """Close the connections to other issuers."""
        await self.foreign.close()

    def hear(self, change: Change) -> None:
        """Check passwords of a changed user, and revoked tokens, again at their next use."""
        if change.kind == "user":
            self._right_passwords.forget(lambda right: right.user.username == change.subject)
            self._right_tokens.forget(lambda right: right.token.owner == change.subject)
        elif change.kind == "all":
            self._right_passwords.forget(lambda _: True)
            self._right_tokens.forget(lambda _: True)
        elif change.kind == "token":
            self._right_tokens.forget(lambda right: token_user(right.token.name) == change.subject)

    # -- tokens ----------------------------------------------------------------------------------------------------

    async def by_scope(self, target: Target, authorization: Sequence[str], scope: str) -> Principal:
        """Return whose token this is, if it has `scope`. Raises NotAccepted, OutOfScope, TooManyAttempts."""
        scheme, _, value = authorization[0].strip().partition(" ")
        if len(authorization) != 1 or scheme.lower() != "bearer" or not value.strip().startswith(PREFIX):
            raise self._refused_token("not one of ours")
        right = await self._good(target, value.strip())
        token = right.token
        if token.owner or scope not in token.scopes or (token.methods and target.method not in token.methods):
            self._audit.record("token_out_of_scope", right.user.username, str(target.client), scope=scope)
            raise OutOfScope(f"token {token.name} has no scope {scope}")
        user, ip = replace(right.user, groups=()), str(target.client)
        return proven_now(user, "token", f"token:{token.id}", ip, self._clock())

    async def _good(self, target: Target, text: str) -> Bearer:
        right = await self._right_token(target, text)
        if self._has_expired(right.token):
            raise self._refused_token("it has expired")
        return right

    async def _right_token(self, target: Target, text: str) -> Bearer:
        return await self._right_tokens.get(text, str(target.client), partial(self._look_up, target, text))

    def _has_expired(self, token: ApiToken) -> bool:
        return bool(token.expires_at) and token.expires_at <= self._clock()

    async def _check(self, target: Target, shown: ShownSecret) -> Bearer | RightPassword:
        if shown.factor == "token":
            return await self._right_token(target, shown.secret)
        check = partial(self._check_password, target, shown.secret)
        return await self._right_passwords.get(shown.secret, str(target.client), check)

    def _objection(
        self, right: Bearer | RightPassword, route: Route, method: str, shown: ShownSecret
    ) -> NotAccepted | OutOfScope | None:
        """Why a credential that is right does not count for this request."""
        if not isinstance(right, Bearer):
            return None
        token, username = right.token, shown.username
        if self._has_expired(token):
            return self._refused_token("it has expired")
        if username is not None and not _names_bearer(username, token):
            return self._refused_token("it belongs to somebody else")
        if route.label not in token.routes or (token.methods and method not in token.methods):
            return OutOfScope(f"token {token.name} is not for {method} on {route.label}")
        return None

    async def _look_up(self, target: Target, text: str) -> Bearer:
        address = str(target.client)
        await self._limits.check(TOKENS_PER_IP, network_of(address))
        id, _, secret = text.removeprefix(PREFIX).partition("_")
        token = await self._tokens.get(id) if id and secret and text.isascii() and len(text) < 200 else None
        expected = token.digest if token else ""
        digests = [token_digest(key, secret) for key in self._keys()]
        right = [hmac.compare_digest(expected, digest) for digest in digests]
        user = await self._stands_for(token) if token and any(right) else None
        if token is None or user is None:
            self._audit.record("token_failed", "", address, token=ascii(id[:16])[1:-1])
            await self._limits.spend(TOKENS_PER_IP, network_of(address))
            raise self._refused_token("unknown")
        if self._clock() - token.last_used_at > _NOTE_USE_AFTER or not right[0]:
            self._audit.record("token_used", user.username, address, token=token.id)
            await self._tokens.used(token.id, self._clock(), digests[0])
        return Bearer(token, user)

    async def _stands_for(self, token: ApiToken) -> User | None:
        """None if the owner is gone or disabled, has a new password since, or users' tokens are switched off.

        An owner who came after the token is somebody else with the same name.
        """
        if not token.owner:
            return User(token_user(token.name), name=token.name, groups=token.groups)
        owner = await self._directory.get(token.owner) if self._own else None
        if owner is None or owner.disabled:
            return None
        if token.created_at < max(owner.created_at, owner.password_changed_at):
            return None
        return replace(owner, password_hash="")

    def _refused_token(self, why: str) -> NotAccepted:
        return NotAccepted(f"API token: {why}", 'Bearer error="invalid_token"')  # RFC 6750 §3.1

    # -- HTTP Basic ------------------------------------------------------------------------------------------------

    async def _check_password(self, target: Target, value: str) -> RightPassword:
        """With the same limits as the login page, so that this is no second door for guessing."""
        address = str(target.client)
        if (
            given := name_and_password(value)
        ) is None:  # it names nobody, so it must not count against anybody's name
            await self._limits.spend(PASSWORD_PER_IP, network_of(address))
            raise NotAccepted("HTTP Basic: not base64 of name and password", basic_challenge(target))
        user = await self._passwords.check(*given, address, door="basic")
        if user is None:
            raise NotAccepted("HTTP Basic: wrong username or password", basic_challenge(target))
        self._audit.record("password_ok", user.username, address, door="basic")
        return RightPassword(replace(user, password_hash=""))

    # -- what was proven -------------------------------------------------------------------------------------------

    def _principal(
        self, right: Bearer | RightPassword, route: Route, ip: str, shown: ShownSecret
    ) -> Principal:
        sid = f"token:{right.token.id}" if isinstance(right, Bearer) else f"basic:{right.user.username}"
        now = self._clock()
        if any(rule.max_age for rule in route.access):  # a rule asks how old the proof is: it came just now
            return proven_now(right.user, shown.factor, sid, ip, now)
        return right.principals.get(right.user, shown.factor, sid, ip, now)


def token_user(name: str) -> str:
    """Return the username that apps, rules and logs see for the service account `name`. No person can have it."""
    return f"token:{name}"


def token_digest(key: bytes, secret: str) -> str:
    """Return the keyed hash under which a token is stored."""
    return hmac.new(key, secret.encode(errors="surrogatepass"), sha256).hexdigest()


def basic_challenge(target: Target) -> str:
    """Return the WWW-Authenticate challenge for HTTP Basic (RFC 7617 §2)."""
    return f'Basic realm="{target.host}", charset="UTF-8"'  # RFC 7617 §2.1


def _names_bearer(username: str, token: ApiToken) -> bool:
    """Whether the name that came with a token in HTTP Basic is its user's, or that of the token of a program."""
    return user_name(username) == token.owner if token.owner else username == token.name
