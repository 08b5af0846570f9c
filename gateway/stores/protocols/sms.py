"""The Protocols of what is stored about SMS and calls: each message with delivery and cost, and blocked ranges."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

FINAL = 9
"""The stage from which no report leads on."""
NOT_TAKEN = ("failed", "unknown")
"""What a message without an id of the provider's has come to: nobody was sent anything, as far as we know."""
DELIVERED = ("delivered", "read", "completed")


@dataclass(frozen=True, slots=True)
class SmsMessage:
    """One SMS or call. It holds no code, and of the number only what `masked` shows.

    `sid` is the provider's id, `session` a digest of whom the code was for, `number` and `range` keyed hashes.
    `stage` orders statuses, so that a late or repeated report can't move one back. `micros` are millionths of
    `currency`: an estimate until `priced`.
    """

    id: str
    username: str
    session: str
    masked: str
    number: str
    range: str
    country: str
    provider: str
    channel: str
    micros: int
    currency: str
    created_at: float
    sid: str = ""
    status: str = "pending"
    stage: int = 0
    error: str = ""
    problem: str = ""
    """What the waiting user may read of a failure."""
    priced: bool = False
    updated_at: float = 0.0
    verified_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Delivery:
    """A provider's word on a message; `sid` may be told before we have it from the answer to our request.

    `cause` and `mend` are for the operator's log and are not kept.
    """

    status: str
    stage: int
    sid: str = ""
    error: str = ""
    problem: str = ""
    cause: str = ""
    mend: str = ""


class SmsMessages(Protocol):
    """Written while messages are sent and delivered."""

    async def add(self, message: SmsMessage) -> None:
        """Insert a message."""

    async def report(self, id: str, delivery: Delivery, at: float) -> SmsMessage | None:
        """The message as it is now if the report moved it on; None if it is unknown, stale or of another sid."""
        ...

    async def price(self, id: str, micros: int, *, final: bool = True) -> SmsMessage | None:
        """Set what it cost, once: the message as it was before, None if it had its price already.

        Not `final`: a bill may still come."""
        ...

    async def move(self, id: str, provider: str, micros: int) -> SmsMessage | None:
        """Note that another provider took the message, and what it is expected to cost there: the message as it was
        before, None if it is unknown.
        """
        ...

    async def of_session(self, session: str) -> Sequence[SmsMessage]:
        """The newest few, newest first."""
        ...

    async def of_number(self, username: str, numbers: Sequence[str], since: float) -> Sequence[SmsMessage]:
        """The newest few of this user's to one number since then, newest first; `numbers` are its hashes."""
        ...

    async def verify(self, session: str, at: float) -> None:
        """The code came back."""
        ...

    async def conversion(self, ranges: Sequence[str], since: float, until: float) -> tuple[int, int]:
        """How many messages went to a range, and how many of them led to a right code.

        Of those to one number that led to none, few count: one person who answers none is no pumping.
        """
        ...

    async def answers(self, username: str, numbers: Sequence[str], until: float) -> bool:
        """Whether one of the last few messages to this user's number led to a right code; `numbers` are its hashes.

        A message later than `until` says nothing yet, unless its code is back already.
        """
        ...

    async def last_verified(self, username: str, numbers: Sequence[str]) -> float:
        """When a code to this user's number last came back (Unix seconds), 0.0 if none did; `numbers` are its
        hashes.
        """
        ...

    async def unpriced(self, since: float, until: float, provider: str) -> Sequence[SmsMessage]:
        """Some of those that this provider took and whose cost is still an estimate."""
        ...


@dataclass(frozen=True, slots=True)
class SmsSpend:
    """What one country cost through one channel."""

    country: str
    channel: str
    currency: str
    messages: int
    micros: int


@dataclass(frozen=True, slots=True)
class SmsRates:
    """How a country fared. `open` are those of which nothing final is known."""

    country: str
    messages: int
    delivered: int
    failed: int
    open: int
    verified: int


@dataclass(frozen=True, slots=True)
class SmsVendor:
    """What went through one provider."""

    provider: str
    messages: int
    delivered: int
    failed: int
    micros: int
    currency: str


@dataclass(frozen=True, slots=True)
class SmsCost:
    """What codes to a country cost in millionths of `currency`. `sign_ins` are the sessions that they let on."""

    country: str
    currency: str
    messages: int
    verified: int
    sign_ins: int
    micros: int

    @property
    def per_sign_in(self) -> int | None:
        """Millionths of the currency, None where nobody signed in."""
        return self.micros // self.sign_ins if self.sign_ins else None


class SmsReports(Protocol):
    """Read by administrators."""

    async def spend(self, since: float) -> Sequence[SmsSpend]:
        """By country and channel, dearest first; for today, `since` is `start_of_day(now)`."""
        ...

    async def last(self, limit: int, *, username: str | None = None) -> Sequence[SmsMessage]:
        """Return the newest `limit` messages, newest first."""
        ...

    async def rates(self, since: float) -> Sequence[SmsRates]:
        """By country, most messages first."""
        ...

    async def costs(self, since: float) -> Sequence[SmsCost]:
        """By country and currency, most messages first."""
        ...

    async def vendors(self, since: float) -> Sequence[SmsVendor]:
        """By provider and currency, most messages first."""
        ...


@dataclass(frozen=True, slots=True)
class SmsBlock:
    """A range of numbers that gets nothing until `until`; messages before `since` no longer count against it."""

    range: str
    since: float
    until: float
    sends: int
    verified: int


class SmsBlocks(Protocol):
    """Ranges of numbers that get nothing for a while."""

    async def get(self, range: str) -> SmsBlock | None:
        """Return the block of a range, None if there never was one."""

    async def put(self, block: SmsBlock) -> None:
        """Insert or replace."""
        ...

    async def list(self, now: float) -> Sequence[SmsBlock]:
        """Those in force."""
        ...


@dataclass(frozen=True, slots=True)
class PhoneChange:
    """A change of a user's number. `before` is the number that was replaced or removed, "" if there was none."""

    id: int
    username: str
    before: str
    at: float
    waived: bool = False
    """An administrator vouches for the new number."""


class PhoneChanges(Protocol):
    """Changes of users' numbers, noted by the directory in the transaction that changes them."""

    async def of(self, username: str, since: float) -> Sequence[PhoneChange]:
        """Newest first."""
        ...

    async def waive(self, username: str) -> int:
        """End the cool-off of all changes so far; returns how many there were."""
        ...


@dataclass(frozen=True, slots=True)
class SmsStores:
    """What is stored about text messages and calls. `messages` and `reports` are two sides of one store."""

    messages: SmsMessages
    reports: SmsReports
    blocks: SmsBlocks
    changes: PhoneChanges
