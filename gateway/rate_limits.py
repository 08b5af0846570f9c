"""Attempt budgets per user, address and number, kept in the Ledger so that all workers and replicas share them.

What is spent is noted, so that an operator can see and lift it (authn/lockouts.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network

from gateway.errors import TooManyAttempts
from gateway.stores.protocols.ledger import Hit, Ledger, Spent, SpentBudgets, Value


@dataclass(frozen=True, slots=True)
class Budget:
    """At most `limit` hits in `window` seconds; `name` goes into the key and the log.

    `about` says what its subjects are, as in `Spent`; what has none is not shown to operators.
    """

    name: str
    limit: int
    window: float
    about: str = ""

    def of(self, subject: str) -> Spent:
        return Spent(budget=self.name, limit=self.limit, about=self.about, subject=subject)


PASSWORD_PER_IP = Budget(name="password-ip", limit=30, window=600, about="address")
PASSWORD_PER_USER = Budget(name="password-user", limit=10, window=600, about="user")
CODES_PER_USER = Budget(name="codes-user", limit=15, window=900, about="user")
RESETS_PER_TARGET = Budget(name="reset-target", limit=3, window=3600, about="user")
RESETS_PER_DEVICE = Budget(name="reset-device", limit=3, window=3600)
RESETS_PER_IP = Budget(name="reset-ip", limit=10, window=3600, about="address")
RESETS_IN_ALL = Budget(name="reset-all", limit=500, window=3600)
SIGN_IN_LINKS_PER_TARGET = Budget(name="link-target", limit=5, window=3600, about="user")
SIGN_IN_LINKS_PER_DEVICE = Budget(name="link-device", limit=5, window=3600)
SIGN_IN_LINKS_PER_IP = Budget(name="link-asks", limit=20, window=3600, about="address")
SIGN_IN_LINKS_IN_ALL = Budget(name="link-all", limit=1000, window=3600)
REGISTRATIONS_PER_TARGET = Budget(name="registration-target", limit=3, window=3600, about="mail")
REGISTRATIONS_PER_IP = Budget(name="registration-ip", limit=10, window=3600, about="address")
REGISTRATIONS_IN_ALL = Budget(name="registration-all", limit=200, window=3600)
REGISTRATION_NOTICES = Budget(name="registration-notices", limit=30, window=3600)
ACCESS_REQUESTS_PER_USER = Budget(name="access-user", limit=10, window=3600, about="user")
LINKS_PER_IP = Budget(name="link-ip", limit=30, window=600, about="address")
TOKENS_PER_IP = Budget(name="token-ip", limit=30, window=600, about="address")
# NIST SP 800-63B §5.2.2: no more than 100 failed attempts in a row on one account.
PASSWORD_FAILURES = Budget(name="failures:password", limit=100, window=365 * 86400, about="user")
# What a remembered device of the user may get wrong, whatever strangers did (NIST SP 800-63B-4 §3.2.2 allows it).
PASSWORD_PER_DEVICE = Budget(name="password-device", limit=10, window=600)
DEVICE_FAILURES = Budget(name="failures:device", limit=100, window=365 * 86400)
CODE_FAILURES = Budget(name="failures:code", limit=100, window=365 * 86400, about="user")


class BudgetSpent(TooManyAttempts):
    """A budget is used up. `budget` has nothing left for `retry_after` seconds."""

    def __init__(self, budget: Budget, retry_after: int) -> None:
        super().__init__(f"budget {budget.name} is spent", retry_after=retry_after)
        self.budget = budget


class RateLimits:
    """Counts attempts against budgets."""

    def __init__(self, ledger: Ledger, spent: SpentBudgets) -> None:
        self._ledger, self._spent = ledger, spent

    async def check(self, budget: Budget, subject: str) -> int:
        """Return what was spent so far; spends nothing. Raises TooManyAttempts if the budget is spent already."""
        count, remaining = await self._ledger.count(_key(budget.name, subject))
        if count >= budget.limit:
            raise TooManyAttempts(f"budget {budget.name} is spent", retry_after=int(remaining) + 1)
        return count

    async def spend(self, budget: Budget, subject: str) -> int:
        """Count one hit and return how many are left. Raises TooManyAttempts when there was none left."""
        count = await self._ledger.hit(_key(budget.name, subject), budget.window)
        if count < budget.limit:
            return budget.limit - count
        _, remaining = await self._ledger.count(_key(budget.name, subject))
        if count > budget.limit:
            raise TooManyAttempts(f"budget {budget.name} is spent", retry_after=int(remaining) + 1)
        if budget.about:
            await self._spent.put(budget.of(subject), max(remaining, 1.0))
        return 0

    async def spend_all(self, spends: Sequence[tuple[Budget, str]]) -> Sequence[int]:
        """Count one hit on each of these different budgets, or on none of them; return how many each has left.

        Raises BudgetSpent for the first that had none left.
        """
        counts = await self.count_all(spends)
        if counts is None:
            raise await self._spent_one(spends)
        return [budget.limit - count for (budget, _), count in zip(spends, counts, strict=True)]

    async def count_all(
        self, spends: Sequence[tuple[Budget, str]], *beside: Hit, keep: Value | None = None
    ) -> Sequence[int] | None:
        """Count one hit on each of these different budgets, and the hits `beside` them, or none of it.

        Returns the counts in this order, None if one was full. `keep` is stored in the same step, if they count.
        """
        hits = [Hit(_key(budget.name, subject), budget.window, budget.limit) for budget, subject in spends]
        counts = await self._ledger.hit_all([*hits, *beside], keep)
        for (budget, subject), count in zip(spends, counts or (), strict=False):
            if count == budget.limit and budget.about:
                _, remaining = await self._ledger.count(_key(budget.name, subject))
                await self._spent.put(budget.of(subject), max(remaining, 1.0))
        return counts

    async def _spent_one(self, spends: Sequence[tuple[Budget, str]]) -> "BudgetSpent":
        for budget, subject in spends:
            count, remaining = await self._ledger.count(_key(budget.name, subject))
            if count >= budget.limit:
                return BudgetSpent(budget, int(remaining) + 1)
        return BudgetSpent(spends[0][0], 1)  # it has ended this moment

    async def settle(self, back: Sequence[tuple[Budget, str]], forget: Sequence[tuple[Budget, str]]) -> None:
        """Undo one `spend` of each of `back`, and forget all of `forget`, in one step.

        A budget whose window has ended meanwhile has nothing to undo: it would begin below zero, with a try too many.
        """
        await self._ledger.settle(
            [_key(budget.name, subject) for budget, subject in back],
            [_key(budget.name, subject) for budget, subject in forget],
        )

    async def forget(self, subject: str, *budgets: Budget) -> None:
        await self._ledger.delete(*(_key(budget.name, subject) for budget in budgets))

    # -- for operators ---------------------------------------------------------------------------------------------

    async def spent(self) -> Sequence[Spent]:
        """What was at its limit, and may be so still."""
        return await self._spent.list()

    async def counted(self, spent: Spent) -> tuple[int, float]:
        """The hits on it, and the seconds until they are forgotten."""
        return await self._ledger.count(_key(spent.budget, spent.subject))

    async def lift(self, spent: Spent) -> None:
        await self._ledger.delete(_key(spent.budget, spent.subject))
        await self._spent.delete(spent)


def _key(budget: str, subject: str) -> str:
    return f"limit:{budget}:{subject}"


def network_of(ip: str) -> str:
    """What address budgets count: IPv6 customers own a /64, so single addresses mean nothing."""
    address = ip_address(ip)
    return str(ip_network((address, 64), strict=False)) if address.version == 6 else ip
