"""Keeps what a lookup told of a number, and asks again for what is too old.

Answers are kept under a keyed hash of the number, sealed. Asking costs money, which is counted in the daily cap of SMS
before. While nobody answers, codes go on or don't as `sms.lookup.when_down` says, and nobody waits for it again for a
while.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cryptography.fernet import InvalidToken

from gateway.clock import Clock
from gateway.config.sections.sms_lookup import SmsLookup
from gateway.errors import SendFailed
from gateway.messaging.addresses import country_of
from gateway.messaging.senders.base import NumberFacts, NumberLookup
from gateway.messaging.sms.budgets import give_back
from gateway.messaging.sms.spending import Channel, Spend, micros
from gateway.observability import metrics
from gateway.observability.audit import Audit
from gateway.rate_limits import Budget, BudgetSpent, RateLimits
from gateway.stores.protocols.ledger import Ledger
from gateway.stores.protocols.sms import SmsMessages

Known = Mapping[str, tuple[Any, float]]
_PAUSE = 30.0
"""Seconds for which nobody asks again after a failure."""
_REMIND = 3600.0
"""Seconds after which a failure is told again."""
_REASSIGNED_IN = frozenset({"US"})
"""Where Twilio knows of numbers that changed hands."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Whose number it is. `hashes` are those of the number, newest key first; `no_other_way`: the user has no other
    factor that would do here.
    """

    username: str
    phone: str
    hashes: Sequence[str]
    no_other_way: bool = False


class LookupAnswers:
    """Asks, and keeps the answers. `seal` and `open` are the key ring's."""

    def __init__(
        self,
        *,
        config: SmsLookup,
        lookup: NumberLookup,
        limits: RateLimits,
        per_user_hourly: int,
        ledger: Ledger,
        spend: Spend,
        messages: SmsMessages,
        audit: Audit,
        seal: Callable[[bytes], bytes],
        open: Callable[[bytes], bytes],
        clock: Clock,
    ) -> None:
        self._config, self._lookup, self._ledger, self._spend = config, lookup, ledger, spend
        self._messages, self._audit, self._clock = messages, audit, clock
        self._limits, self._seal, self._open = limits, seal, open
        self._budget = Budget(name="sms-lookup-user", limit=per_user_hourly, window=3600, about="user")
        self._paused_until = 0.0

    async def of(self, asked: Asked) -> dict[str, Any]:
        """What is known by now: kept answers, and new ones for what is too old."""
        kept = await self._kept(asked)
        now = self._clock()
        due = [
            one for one in self._config.packages if now - kept.get(one, (None, -1e12))[1] >= self._life(one)
        ]
        verified = await self._last_verified(asked) if "reassigned" in due else None
        if verified is None and "reassigned" in due:
            due.remove("reassigned")
        if due and (facts := await self._ask(asked, due, verified)) is not None:
            for name, value in _values(facts, due):  # what is not known this time stays as it was known
                kept[name] = (value if value is not None else kept.get(name, (None, 0.0))[0], now)
            sealed = self._seal(json.dumps(kept).encode())
            await self._ledger.put(_slot(asked), sealed, self._longest())
        wanted = ("valid", *self._config.packages)
        return {name: value for name, (value, _) in kept.items() if name in wanted}

    async def known(self, asked: Asked) -> Known:
        """What is kept, by package, with the time at which it was told; nobody is asked."""
        return {name: one for name, one in (await self._kept(asked)).items() if one[0] is not None}

    async def _last_verified(self, asked: Asked) -> float | None:
        """When a code to this number last came back, None if that is not known or no use."""
        if country_of(asked.phone) not in _REASSIGNED_IN:
            return None
        return await self._messages.last_verified(asked.username, asked.hashes) or None

    async def _kept(self, asked: Asked) -> dict[str, tuple[Any, float]]:
        """What was kept, by package, with its time; nothing where the key that sealed it is gone."""
        sealed = await self._ledger.get(_slot(asked))
        try:
            kept = json.loads(self._open(sealed)) if sealed else {}
        except InvalidToken:
            return {}
        return {name: (value, at) for name, (value, at) in kept.items()}

    async def _ask(self, asked: Asked, due: Sequence[str], verified: float | None) -> NumberFacts | None:
        """Ask for what is due, with its price counted; None if that failed and codes go on all the same."""
        now = self._clock()
        if now < self._paused_until:
            self._without("nobody answers at the moment")
            return None
        counted = [(self._budget, asked.username)]
        try:
            await self._limits.spend_all(counted)
        except BudgetSpent as spent:
            raise SendFailed(
                "too many numbers of this user were looked up",
                code="budget",
                mend=f"wait {spent.retry_after} s, or raise sms.budgets.user_hourly",
            ) from spent
        price = sum(micros(getattr(self._config.prices, one)) for one in due)
        try:
            await self._spend.reserve(Channel.SMS, price)
        except SendFailed:
            await give_back(self._limits, counted)
            self._without("the daily cap leaves no money for it")
            return None
        try:
            facts = await self._lookup.ask(asked.phone, due, now=now, last_verified=verified)
        except SendFailed as failure:
            await self._spend.correct(Channel.SMS, now, -price)
            await give_back(self._limits, counted)
            self._paused_until = now + _PAUSE
            await self._tell(failure, due)
            self._without(failure.detail)
            return None
        metrics.sms_lookups.labels("asked").inc()
        for package, lacking in facts.failures.items():
            await self._tell(lacking, (package,))
        if facts.failures:
            self._without(next(iter(facts.failures.values())).detail)
        return facts

    def _without(self, why: str) -> None:
        """Go on without an answer, if the operator wants that. Raises SendFailed (code "lookup") if not."""
        metrics.sms_lookups.labels("down").inc()
        if self._config.when_down == "refuse":
            raise SendFailed(
                f"the number can't be looked up: {why}",
                code="lookup",
                mend="see the event sms_lookup_failed; `sms.lookup.when_down: allow` sends codes all the same",
                retryable=True,
                outage=False,
            )

    async def _tell(self, failure: SendFailed, packages: Sequence[str]) -> None:
        """Once an hour for each kind of failure the operator hears of it."""
        if await self._ledger.claim_once(f"sms-lookup:{failure.code}:{','.join(packages)}", _REMIND):
            self._audit.record(
                "sms_lookup_failed",
                packages=list(packages),
                code=failure.code,
                cause=failure.detail,
                mend=failure.mend,
            )

    def _life(self, package: str) -> float:
        return self._config.sim_swap_kept if package == "sim_swap" else self._config.kept

    def _longest(self) -> float:
        """A changed SIM stays suspect even when nobody can be asked again."""
        return max(self._config.kept, self._config.sim_swap_kept, self._config.sim_swap_within)


def _values(facts: NumberFacts, due: Sequence[str]) -> Iterator[tuple[str, Any]]:
    found = {
        "line_type": facts.line_type,
        "sim_swap": facts.swapped_at,
        "reassigned": facts.reassigned,
        "pumping_risk": facts.pumping_score,
    }
    yield "valid", facts.valid
    yield from ((one, found[one]) for one in due)


def _slot(asked: Asked) -> str:
    """One for each user: whether a number changed hands depends on who had it."""
    return f"sms-lookup:{asked.hashes[0]}:{asked.username}"
