"""The seam of second factors: one file per kind, all behind this Protocol.

A challenge belongs to one session, user and factor; success consumes it atomically. Wrong input is an Outcome,
not an exception. A factor never decides who may pass: policy does.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from gateway.model import User


class Outcome(StrEnum):
    RIGHT = "right"
    WRONG = "wrong"
    EXPIRED = "expired"
    """The challenge is gone (too old, used, or replaced by a newer one)."""
    EXHAUSTED = "exhausted"
    """Too many tries at this challenge: the sign-in starts over."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """Who is proving a factor, and from where. `host` is the public host, for messages bound to it."""

    user: User
    sid: str
    ip: str
    host: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """What the page must know to ask: a masked destination, code length, seconds until another may be sent."""

    hint: str = ""
    code_length: int = 6
    resend_after: int = 0
    sent: bool = False


class Factor(Protocol):
    name: str

    async def enrolled(self, user: User) -> bool:
        """Whether the user can use this factor."""
        ...

    async def begin(self, attempt: Attempt, *, again: bool = False) -> Prompt:
        """Start a challenge, or describe the one that is running; `again` asks for a new code.

        Raises SendFailed, TooManyAttempts, StoreUnavailable.
        """
        ...

    async def verify(self, attempt: Attempt, form: Mapping[str, str]) -> Outcome:
        """Judge what the user gave; a right answer is consumed."""
        ...
