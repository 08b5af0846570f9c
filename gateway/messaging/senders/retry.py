"""Repeats a call whose failure proves that nothing was delivered.

The attempt itself says whether a failure is of that kind, because a text message that goes out twice costs money and
confuses its reader. Randomness and sleep are parameters.
"""

import asyncio
import itertools
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from gateway.errors import SendFailed

log = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Miss:
    """A failed attempt.

    `again` means that a repeat can't deliver twice; `retry_after` is the pause that the other side asked for.
    """

    failure: SendFailed
    again: bool = False
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential back-off with full jitter: a pause is drawn evenly from 0 to `base` * 2**n, at most `cap`.

    Somebody sits before the form while we wait, so a server that asks for more than `patience` seconds gets
    no repeat.
    """

    retries: int
    base: float = 0.5
    cap: float = 4.0
    patience: float = 5.0
    random: Callable[[], float] = random.random
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    def pause(self, attempt: int, miss: Miss) -> float | None:
        """Seconds to wait after attempt number `attempt` (from 0), or None to give up."""
        asked = miss.retry_after or 0.0
        if not miss.again or attempt >= self.retries or asked > self.patience:
            return None
        return max(asked, self.random() * min(self.cap, self.base * 2.0**attempt))


async def with_retries(attempt: Callable[[], Awaitable[T | Miss]], backoff: Backoff) -> T:
    """Return the first result that is not a Miss. Raises SendFailed, the failure of the last Miss."""
    for number in itertools.count():
        result = await attempt()
        if not isinstance(result, Miss):
            return result
        pause = backoff.pause(number, result)
        if pause is None:
            raise result.failure
        log.info(  # the operator hears once that messages fail (messaging/sms/outage.py)
            "send repeated", extra={"code": result.failure.code, "attempt": number + 1, "pause": pause}
        )
        await backoff.sleep(pause)
    raise AssertionError("itertools.count() has no end")
