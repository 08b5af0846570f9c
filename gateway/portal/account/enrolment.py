"""Adding second factors, without HTTP: who may add which, and what happens when one is proven (security rule 10).

A session that proved only a password may add one factor, and only while the account has none of any kind. Whoever has
one must have proven two within the last quarter of an hour.
"""

import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import Enum, auto

from gateway.authn.factors.base import Enrols, Outcome, Setup
from gateway.authn.factors.build import Factors
from gateway.authn.factors.phone_lines import SECOND_PHONE
from gateway.authn.factors.webauthn import WebAuthnFactor
from gateway.authn.login_origin import LoginOrigin
from gateway.config.schema import EnrolmentSection as EnrolmentConfig
from gateway.errors import TooManyAttempts
from gateway.i18n.text import N_
from gateway.model import Principal, SessionRecord, User
from gateway.observability.audit import Audit
from gateway.policy.decide import by_mailbox_alone, proven_recently
from gateway.portal.account.change_notices import AccountNews
from gateway.session import Sessions
from gateway.stores.protocols.ledger import Ledger

_TURN = 30.0


class Permission(Enum):
    """Whether somebody may add a factor now, and why not."""

    GIVEN = auto()
    AFTER_PROOF = auto()
    """Once a second factor was proven (again)."""
    REFUSED = auto()
    WITH_PASSWORD = auto()
    """After a sign-in with more than a mailed link: a mailbox alone makes nobody a second factor."""
    UNREADABLE = auto()
    """Likewise: the directory has a phone number that can't be read, in whose place the password alone adds nothing."""


@dataclass(frozen=True, slots=True)
class Added:
    """What came of adding a factor. `record` is the risen session, `codes` the recovery codes to show once; both only
    for Outcome.RIGHT.
    """

    outcome: Outcome
    record: SessionRecord | None = None
    codes: Sequence[str] = ()


class FactorEnrolment:
    """Adds second factors to the account of whoever is signed in."""

    def __init__(
        self,
        config: EnrolmentConfig,
        factors: Factors,
        sessions: Sessions,
        ledger: Ledger,
        audit: Audit,
        news: AccountNews,
    ) -> None:
        self._config, self._factors, self._sessions = config, factors, sessions
        self._ledger, self._audit, self._news = ledger, audit, news

    async def permission(self, principal: Principal) -> Permission:
        """Decide whether this session may add a factor (security rule 10): proven just now, or the very first one."""
        if proven_recently(principal.session, self._sessions.now()):
            return Permission.GIVEN
        if await self._usable(principal.user, but="email" if by_mailbox_alone(principal.amr) else ""):
            return Permission.AFTER_PROOF
        if principal.user.phone_unreadable:
            return Permission.UNREADABLE
        if by_mailbox_alone(principal.amr):
            return Permission.WITH_PASSWORD
        # An unusual sign-in that must prove more can't do so with a factor that it brings along itself.
        trusted = self._config.at_first_login and not principal.session.step_up
        return Permission.GIVEN if trusted else Permission.REFUSED

    def note_unreadable(self, client: LoginOrigin, principal: Principal) -> None:
        """Tell the operator who was kept out by a number that can't be read."""
        self._audit.record("phone_unreadable", principal.username, client.ip)

    async def has_any(self, user: User) -> bool:
        """Whether the account has a second factor of any kind, accepted by some route or not.

        A number that can't be read is one, though nobody can prove it: only who keeps the directory mends that.
        """
        return user.phone_unreadable or await self._usable(user)

    async def _usable(self, user: User, *, but: str = "") -> bool:
        second = self._factors.second.items()
        return any([await factor.enrolled(user) for name, factor in second if name != but])

    def choices(self, accepted: frozenset[str]) -> list[str]:
        """What can be added, of what the route accepts (empty: anything)."""
        ended = {"sms"} if self._factors.sms_plan.denies else set()
        return [
            name for name in self._factors.enrols if name not in ended and (not accepted or name in accepted)
        ]

    def can_add(self, user: User, factor: str, accepted: frozenset[str]) -> bool:
        """A second phone number is no factor that a route could ask for: it stands beside the first."""
        if factor == SECOND_PHONE:
            return bool(user.phone) and "sms" in self._config.factors and not self._factors.sms_plan.denies
        return factor in self.choices(accepted)

    async def begin(
        self, client: LoginOrigin, principal: Principal, factor: str, form: Mapping[str, str]
    ) -> Setup:
        """Start adding a factor. Raises InvalidUser, SendFailed, TooManyAttempts."""
        return await self._enrols(factor).enrol_begin(client.attempt(principal), form)

    async def finish(
        self, client: LoginOrigin, principal: Principal, factor: str, form: Mapping[str, str]
    ) -> Added:
        """Add the factor if it is proven; it counts for this session at once. Raises TooManyAttempts."""
        name = principal.username
        # Of two password-only sessions in a race, one adds the first factor.
        async with self.turn(name):
            if await self.permission(principal) is not Permission.GIVEN:
                return Added(Outcome.EXPIRED)
            outcome = await self._enrols(factor).enrol_finish(client.attempt(principal), form)
            if outcome is not Outcome.RIGHT:
                self._audit.record("factor_not_added", name, client.ip, factor=factor, outcome=outcome.value)
                return Added(outcome)
            return await self._added(client, principal, factor)

    def _enrols(self, factor: str) -> Enrols:
        return self._factors.second_phone if factor == SECOND_PHONE else self._factors.enrols[factor]

    @asynccontextmanager
    async def turn(self, username: str) -> AsyncIterator[None]:
        """One change of an account's factors at a time, in all workers. Raises TooManyAttempts if one is running."""
        if not await self._ledger.claim_once(_turn(username), _TURN):
            raise TooManyAttempts("another factor is being changed", retry_after=2)
        try:
            yield
        finally:
            await self._ledger.delete(_turn(username))

    async def _added(self, client: LoginOrigin, principal: Principal, factor: str) -> Added:
        name = principal.username
        self._news.tell(principal.user, client, "factor_added", _ADDED[factor], factor=factor)
        if factor == SECOND_PHONE:
            self._news.second_phone(principal.user, secrets.token_hex(8))
            return Added(Outcome.RIGHT, principal.session)
        first = not await self._factors.recovery.enrolled(principal.user)
        codes = await self._factors.recovery.renew(principal.user) if first else ()
        enrolled = self._factors.enrols[factor]
        model = enrolled.model_used(principal.session.sid) if isinstance(enrolled, WebAuthnFactor) else ""
        record = await self._sessions.rise(
            principal, name, factor, ip=client.ip, user_agent=client.user_agent, key_model=model
        )
        self._audit.record("login", name, client.ip, factors=list(record.amr), sid=record.sid[:8])
        return Added(Outcome.RIGHT, record, codes)


_ADDED = {
    "totp": N_("An authenticator app was added as second factor."),
    "webauthn": N_("A security key or passkey was added as second factor."),
    "sms": N_("The phone number for codes was set."),
    SECOND_PHONE: N_("A second phone number was set. Codes can go there, too."),
    "email": N_("The e-mail address was set."),
}


def _turn(username: str) -> str:
    return f"enrol:turn:{username}"
