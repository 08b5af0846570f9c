"""Approval on another signed-in device: this page shows a number, the other device asks for it.

Number matching, because people approve what they did not ask for when a single tap is enough. A session that was only
approved itself approves nobody (`vouches`): else one stolen session could renew itself for ever.
"""

import secrets
from collections.abc import Callable, Mapping
from ipaddress import ip_address

from gateway.authn.factors.approval_questions import (
    LIFETIME,
    ApprovalAnswer,
    ApprovalQuestion,
    ApprovalQuestions,
)
from gateway.authn.factors.base import Attempt, Outcome, Prompt
from gateway.clock import Clock
from gateway.errors import TooManyAttempts
from gateway.model import IPAddress, SessionLifetimes, SessionRecord, User
from gateway.observability.audit import Audit
from gateway.policy.decide import LENT_FACTORS, SECOND_FACTORS, has_two
from gateway.rate_limits import Budget, RateLimits
from gateway.stores.protocols.core import SessionStore

# Against asking until somebody gives in. Two refusals in an hour end it: somebody else has the password.
ASKS_PER_USER = Budget(name="approval-asked", limit=5, window=900, about="user")
REFUSALS_PER_USER = Budget(name="approval-refused", limit=2, window=3600, about="user")
OUTCOMES = {
    ApprovalAnswer.YES: Outcome.RIGHT,
    ApprovalAnswer.NO: Outcome.EXHAUSTED,
    ApprovalAnswer.WRONG_NUMBER: Outcome.WRONG,
}


def two_digits() -> str:
    return str(10 + secrets.randbelow(90))


def random_id() -> str:
    return secrets.token_urlsafe(16)


def vouches(session: SessionRecord) -> bool:
    """Tell whether a session may approve others: two factors, the second one proven there and not lent by an
    approval.
    """
    own = set(session.amr) - LENT_FACTORS
    return has_two(tuple(own)) and bool(own & SECOND_FACTORS) and not session.step_up


class ApprovalFactor:
    """The factor `approval`: another signed-in device of the same user says yes. `locate` gives the country of an
    address, "" if unknown; `lifetimes` are those of sessions.
    """

    name = "approval"

    def __init__(
        self,
        asks: ApprovalQuestions,
        sessions: SessionStore,
        limits: RateLimits,
        audit: Audit,
        clock: Clock,
        *,
        lifetimes: SessionLifetimes,
        locate: Callable[[IPAddress], str],
        new_number: Callable[[], str] = two_digits,
        new_id: Callable[[], str] = random_id,
    ) -> None:
        self.asks = asks
        self._sessions, self._limits, self._audit, self._clock = sessions, limits, audit, clock
        self._lifetimes, self._locate = lifetimes, locate
        self._new_number, self._new_id = new_number, new_id

    async def enrolled(self, user: User) -> bool:
        """Tell whether somebody could answer: another session that vouches is alive, and not too many
        were refused.
        """
        try:
            await self._limits.check(REFUSALS_PER_USER, user.username)
        except TooManyAttempts:
            return False
        now = self._clock()
        return any(
            vouches(one) and self._lifetimes.alive(one, one.last_seen, now)
            for one in await self._sessions.list(user.username)
        )

    async def begin(self, attempt: Attempt, *, again: bool = False) -> Prompt:
        """Ask the user's other devices. Raises TooManyAttempts while another sign-in waits, or after too many
        questions.
        """
        name = attempt.user.username
        waiting = await self.asks.waiting(name)
        if waiting is not None and waiting.sid == attempt.sid:
            return Prompt(number=waiting.number)
        await self._limits.spend(ASKS_PER_USER, name)
        asked = await self._asked(attempt)
        if not await self.asks.ask(name, asked):
            raise TooManyAttempts("another sign-in waits for approval", retry_after=int(LIFETIME))
        self._audit.record("approval_asked", name, attempt.ip, sid=attempt.sid[:8])
        return Prompt(number=asked.number)

    async def verify(self, attempt: Attempt, form: Mapping[str, str]) -> Outcome:
        """Return what the other device answered; nothing of the form counts."""
        name = attempt.user.username
        answer = await self.asks.take_answer(name, attempt.sid)
        if answer is not None:
            return OUTCOMES[answer]
        return Outcome.PENDING if await self._is_mine(name, attempt.sid) else Outcome.EXPIRED

    async def is_settled(self, username: str, sid: str) -> bool:
        """Tell whether waiting is over: the question was answered, or is too old."""
        return await self.asks.is_answered(username, sid) or not await self._is_mine(username, sid)

    async def refused(self, username: str) -> None:
        """Count a refusal; after some, nobody can ask this user for a while."""
        try:
            await self._limits.spend(REFUSALS_PER_USER, username)
        except TooManyAttempts:
            return  # it is closed already

    async def _is_mine(self, username: str, sid: str) -> bool:
        waiting = await self.asks.waiting(username)
        return waiting is not None and waiting.sid == sid

    async def _asked(self, attempt: Attempt) -> ApprovalQuestion:
        record = await self._sessions.get(attempt.sid)
        return ApprovalQuestion(
            id=self._new_id(),
            sid=attempt.sid,
            number=self._new_number(),
            user_agent=record.user_agent if record else "",
            ip=attempt.ip,
            country=self._locate(ip_address(attempt.ip)),
            at=self._clock(),
        )
