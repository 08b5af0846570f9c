"""The Protocol of the store of those who asked for an account and wait for an administrator."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Registration:
    """Somebody who proved a mail address, and may be a number, and asks for an account. `state` is "waiting",
    "approved" or "refused".

    `address` is the username that they would have, too. `expires_at` is when nobody needs to decide any more, or when
    the address may ask again.
    """

    id: str
    address: str
    name: str
    phone: str
    lang: str
    """The language of the page, in which the decision is told."""
    state: str
    asked_at: float
    expires_at: float
    decided_by: str = ""


class Registrations(Protocol):
    """Who asked for an account."""

    async def add(self, asked: Registration) -> bool:
        """Store a request; False if the address has one that waits or was refused, and has not ended."""
        ...

    async def of_address(self, address: str, now: float) -> Registration | None:
        """Return what an address has asked for, unless that has ended."""

    async def get(self, id: str) -> Registration | None:
        """Return a request, None if there is none."""

    async def decide(self, id: str, before: str, after: str, by: str, now: float, expires_at: float) -> bool:
        """Change the state if it still is `before` and has not ended, atomically."""
        ...

    async def waiting(self, now: float, *, limit: int) -> Sequence[Registration]:
        """Return who waits, the oldest first."""
        ...

    async def purge(self, before: float) -> int:
        """Drop what ended before a time; return how many."""
        ...
