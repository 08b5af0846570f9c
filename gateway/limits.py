"""Attempt budgets per user, address and number, kept in the Ledger so that all workers and replicas share them."""

from dataclasses import dataclass
from ipaddress import ip_address, ip_network

from gateway.errors import TooManyAttempts
from gateway.stores.base import Ledger


@dataclass(frozen=True, slots=True)
class Budget:
    """At most `limit` hits in `window` seconds; `name` goes into the key and the log."""

    name: str
    limit: int
    window: float


PASSWORD_PER_IP = Budget("password-ip", 30, 600)
PASSWORD_PER_USER = Budget("password-user", 10, 600)
CODES_PER_USER = Budget("codes-user", 15, 900)
RESETS_PER_TARGET = Budget("reset-target", 3, 3600)
RESETS_PER_IP = Budget("reset-ip", 10, 3600)
RESETS_IN_ALL = Budget("reset-all", 500, 3600)
ACCESS_REQUESTS_PER_USER = Budget("access-user", 10, 3600)
LINKS_PER_IP = Budget("link-ip", 30, 600)
# NIST SP 800-63B §5.2.2: no more than 100 failed attempts in a row on one account.
FAILURES_IN_A_ROW = Budget("failures", 100, 365 * 86400)


class Limits:
    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def check(self, budget: Budget, subject: str) -> None:
        """Raises TooManyAttempts if the budget is spent already; spends nothing."""
        count, remaining = await self._ledger.count(_key(budget, subject))
        if count >= budget.limit:
            raise TooManyAttempts(f"budget {budget.name} is spent", retry_after=int(remaining) + 1)

    async def spend(self, budget: Budget, subject: str) -> int:
        """Count one hit and return how many are left. Raises TooManyAttempts when there was none left."""
        count = await self._ledger.hit(_key(budget, subject), budget.window)
        if count > budget.limit:
            _, remaining = await self._ledger.count(_key(budget, subject))
            raise TooManyAttempts(f"budget {budget.name} is spent", retry_after=int(remaining) + 1)
        return budget.limit - count

    async def give_back(self, budget: Budget, subject: str) -> None:
        """Undo one `spend`: the attempt turned out to be none that counts."""
        await self._ledger.hit(_key(budget, subject), budget.window, -1)

    async def forget(self, budget: Budget, subject: str) -> None:
        await self._ledger.delete(_key(budget, subject))


def _key(budget: Budget, subject: str) -> str:
    return f"limit:{budget.name}:{subject}"


def network_of(ip: str) -> str:
    """What address budgets count: IPv6 customers own a /64, so single addresses mean nothing."""
    address = ip_address(ip)
    return str(ip_network((address, 64), strict=False)) if address.version == 6 else ip
