"""Sends by a second vendor while the first one takes nothing, and by the first again once it is well.

Which of them is asked first stands in the ledger, so all workers and replicas agree. While the first is down, one
message in each `back_after` tries it; the others don't wait for it. What is wrong with one number, or what a vendor's
protection against fraud stopped, is not sent again by another: STOP holds for both.
"""

import json
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from gateway.clock import Clock
from gateway.errors import SendFailed
from gateway.messaging.senders.base import Sender
from gateway.observability.audit import Audit
from gateway.stores.protocols.ledger import Ledger

log = logging.getLogger("gateway.sms")

DOWN = "sms-vendor-down"
_PROBE = "sms-vendor-probe"
_TOLD = "sms-vendor-told"
_LONG = 86400.0
"""Seconds for which nobody needs to try the first vendor for it to count as down."""

MAYBE_SENT = ("timeout", "connection_lost", "bad_answer")
"""Failures after which the message may be on its way all the same, and then be billed."""
_NO_ANSWER = (*MAYBE_SENT, "connect", "tls", "url", "redirect", "private")
_ACCOUNT = ("401", "403", "429")
"""HTTP's codes for: nothing goes out from this account now. Twilio's are in its table (`SendFailed.outage`)."""


@dataclass(frozen=True, slots=True)
class Vendor:
    """A vendor by its name in records."""

    name: str
    sender: Sender


@dataclass(frozen=True, slots=True)
class Down:
    """Since when the first vendor takes nothing (Unix seconds), and why."""

    since: float
    code: str
    cause: str


Moved = Callable[[str, str, bool], Awaitable[None]]
"""Notes that the second vendor took a message: our reference of it, its number, and whether the first one may have
taken it as well.
"""


def is_vendor_down(failure: SendFailed) -> bool:
    """Tell whether a failure is the vendor's and not this message's: the next message would fail alike."""
    if failure.outage:  # Twilio's codes say it themselves
        return True
    code = failure.code.rpartition(" ")[2]
    server_error = len(code) == 3 and code.startswith("5")
    return server_error or code.startswith("205") or code in _NO_ANSWER or code in _ACCOUNT


class VendorHealth:
    """Knows whether the first vendor takes messages, and tells the operator when that changes."""

    def __init__(self, ledger: Ledger, audit: Audit, clock: Clock, *, back_after: float) -> None:
        """`back_after` is in seconds."""
        self._ledger, self._audit, self._clock, self._pause = ledger, audit, clock, back_after

    async def down(self) -> Down | None:
        """Return since when the first vendor is down, None if it is well."""
        return await read_down(self._ledger)

    async def first_may_try(self) -> bool:
        """Whether it is this message's turn to try the first vendor, while that one is down."""
        return await self._ledger.claim_once(_PROBE, self._pause)

    async def failed(self, first: str, second: str, failure: SendFailed) -> None:
        """The first vendor took nothing: the second is asked from now on."""
        before = await self.down()
        facts = {
            "since": before.since if before else self._clock(),
            "code": failure.code,
            "cause": failure.detail,
        }
        await self._ledger.put(DOWN, json.dumps(facts).encode(), _LONG)
        await self._ledger.claim_once(_PROBE, self._pause)
        if await self._ledger.claim_once(_TOLD, _LONG):
            log.error(
                "%s takes no SMS: %s. They go through %s meanwhile. %s",
                first,
                failure.detail,
                second,
                failure.mend,
            )
            self._audit.record(
                "sms_vendor_switched",
                vendor=second,
                instead_of=first,
                code=failure.code,
                cause=failure.detail,
                mend=failure.mend,
            )

    async def well_again(self, first: str, second: str) -> None:
        """The first vendor took a message again. One of all workers tells it."""
        if await self._ledger.take(DOWN) is None:
            return
        await self._ledger.delete(_PROBE, _TOLD)
        log.warning("SMS go through %s again", first)
        self._audit.record("sms_vendor_switched", vendor=first, instead_of=second)


async def read_down(ledger: Ledger) -> Down | None:
    """Return since when the first vendor is down, None if it is well."""
    kept = await ledger.get(DOWN)
    return Down(**json.loads(kept)) if kept else None


class FailoverSender:
    """A Sender of two vendors. `moved` hears when the second one took a message."""

    def __init__(self, first: Vendor, second: Vendor, health: VendorHealth, moved: Moved) -> None:
        self._first, self._second, self._health, self._moved = first, second, health, moved

    async def send(self, to: str, text: str, reference: str = "") -> str:
        """Deliver by whichever takes the message. Raises SendFailed if none does."""
        down = await self._health.down() is not None
        order = [self._first, self._second]
        if down and not await self._health.first_may_try():
            order.reverse()
        failures: list[SendFailed] = []
        for vendor in order:
            try:
                sid = await vendor.sender.send(to, text, reference)
            except SendFailed as failure:
                failures.append(failure)
                if not is_vendor_down(failure):
                    break
                await self._note(vendor, failure)
                continue
            await self._taken(vendor, reference, to, failures, down=down)
            return sid
        raise _telling(failures)

    async def _note(self, vendor: Vendor, failure: SendFailed) -> None:
        if vendor is self._first:
            await self._health.failed(self._first.name, self._second.name, failure)
        else:
            log.error("%s takes no SMS either: %s. %s", vendor.name, failure.detail, failure.mend)

    async def _taken(
        self, vendor: Vendor, reference: str, to: str, failures: Sequence[SendFailed], *, down: bool
    ) -> None:
        if vendor is self._second:
            maybe_twice = any(failure.code in MAYBE_SENT for failure in failures)
            await self._moved(reference, to, maybe_twice)
        elif down:
            await self._health.well_again(self._first.name, self._second.name)

    async def close(self) -> None:
        """Release the connections of both."""
        await self._first.sender.close()
        await self._second.sender.close()


def _telling(failures: Sequence[SendFailed]) -> SendFailed:
    """The failure that says most: one after which the message may be on its way, else the last if it is about this
    message alone, else the first.
    """
    if maybe := next((one for one in failures if one.code in MAYBE_SENT), None):
        return maybe
    return failures[0] if is_vendor_down(failures[-1]) else failures[-1]
