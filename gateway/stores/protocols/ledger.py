"""Short-lived shared state: counters, claims, values; and which budgets are spent."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Hit:
    """So much more on a counter that ends `window` seconds after its first hit, and is full at `limit`."""

    key: str
    window: float
    limit: int
    amount: int = 1


@dataclass(frozen=True, slots=True)
class Value:
    """What is put under `key` for `ttl` seconds."""

    key: str
    value: bytes
    ttl: float


class Ledger(Protocol):
    """Short-lived shared state: counters, single-use claims, challenges. All is atomic across processes.

    Keys are free text such as "tries:alice"; lifetimes are seconds. An outage raises StoreUnavailable.
    """

    async def hit(self, key: str, window: float, amount: int = 1) -> int:
        """Add `amount` hits to a counter and return its value. It ends `window` seconds after its first hit."""
        ...

    async def count(self, key: str) -> tuple[int, float]:
        """The counter's value and the seconds until it ends (0, 0.0 if there is none)."""
        ...

    async def claim_once(self, key: str, ttl: float) -> bool:
        """Return True to exactly one caller until `ttl` seconds have passed."""
        ...

    async def put(self, key: str, value: bytes, ttl: float) -> None:
        """Store a value for `ttl` seconds, replacing any before it."""

    async def get(self, key: str) -> bytes | None:
        """Return a value, None if there is none or it has ended."""

    async def take(self, key: str) -> bytes | None:
        """Get and delete in one step: exactly one caller receives the value."""
        ...

    async def consume(self, key: str, value: bytes, *counters: str) -> bool:
        """Delete a value if it is still this `value`, and these counters with it, in one step.

        Exactly one caller is told True; whoever is told False has changed nothing.
        """
        ...

    async def hit_all(self, hits: "Sequence[Hit]", keep: Value | None = None) -> Sequence[int] | None:
        """Add to each of these different counters and return their values; None if one had no room for it, and then
        none is counted. `keep` is put in the same step, and only if they are counted."""
        ...

    async def settle(self, back: Sequence[str], drop: Sequence[str]) -> None:
        """Take one hit off each counter of `back` that runs and has one, and drop the entries `drop`, in one step."""

    async def delete(self, *keys: str) -> None:
        """Drop a value or a counter."""
        ...


@dataclass(frozen=True, slots=True)
class Spent:
    """A budget that `subject` has used up. `about` says what that is: a "user", "address", "number" or "mail"."""

    budget: str
    limit: int
    about: str
    subject: str


class SpentBudgets(Protocol):
    """Lists what is blocked, which the ledger can't: its keys are digests.

    What is listed was spent once; whether it still is, the ledger knows.
    """

    async def put(self, spent: Spent, ttl: float) -> None:
        """Note a spent budget for `ttl` seconds."""

    async def list(self) -> Sequence[Spent]:
        """What was put and has not ended, the latest end first."""
        ...

    async def delete(self, spent: Spent) -> None:
        """Take a budget off the list."""
