"""Stops SMS pumping: a range of numbers that receives codes and never verifies any gets nothing more."""

import logging
from dataclasses import replace

from gateway.clock import Clock
from gateway.config.sections.sms_budgets import SmsPumping
from gateway.errors import SendFailed
from gateway.observability.audit import Audit
from gateway.stores.protocols.sms import SmsBlock, SmsBlocks, SmsMessages

log = logging.getLogger("gateway.sms")
_MOST_WARNED = 1000
SETTLING = 120.0
"""Seconds that a person gets to read and type a code before its silence counts against the range."""


class Ranges:
    """Watches ranges of numbers and blocks them."""

    def __init__(
        self, config: SmsPumping, blocks: SmsBlocks, messages: SmsMessages, audit: Audit, clock: Clock
    ) -> None:
        self._config, self._blocks, self._messages = config, blocks, messages
        self._audit, self._clock = audit, clock
        self._warned: dict[str, int] = {}

    async def check(self, range: str, hashes: list[str]) -> None:
        """Refuse a blocked range. Raises SendFailed (code "range"). `hashes` are what messages keep of the range, by
        each key.
        """
        now, config = self._clock(), self._config
        block = await self._blocks.get(range)
        if block is not None and block.until > now:
            raise _blocked(range)
        since = max(now - config.window, block.since if block else 0.0)
        sends, verified = await self._messages.conversion(hashes, since, now - SETTLING)
        if is_pumped(2 * sends, 2 * verified, config):
            self._warn(range, sends, verified, int(now // config.window))
        if is_pumped(sends, verified, config):
            await self._block(
                SmsBlock(range=range, since=since, until=now + config.block, sends=sends, verified=verified)
            )
            raise _blocked(range)

    def _warn(self, range: str, sends: int, verified: int, span: int) -> None:
        """Halfway to a block the operator hears of it, once in a window for each worker."""
        if self._warned.get(range) == span:
            return
        if len(self._warned) >= _MOST_WARNED:
            self._warned.clear()
        self._warned[range] = span
        log.warning("range %s is halfway to a block: %d messages, %d verified", range, sends, verified)
        self._audit.record("sms_range_suspected", range=range, sends=sends, verified=verified, mend=_look())

    async def _block(self, block: SmsBlock) -> None:
        await self._blocks.put(block)
        mend = _mend(block.range)
        log.error(
            "range %s is blocked: %d messages, %d verified. %s",
            block.range,
            block.sends,
            block.verified,
            mend,
        )
        self._audit.record(
            "sms_range_blocked", range=block.range, sends=block.sends, verified=block.verified, mend=mend
        )


def is_pumped(sends: int, verified: int, config: SmsPumping) -> bool:
    """Tell whether a range with so many sends and so many verified codes is being pumped, by the configured share."""
    return sends >= config.sends and verified < config.conversion * sends


async def unblock(blocks: SmsBlocks, range: str, now: float) -> bool:
    """Lift a block; what was sent before no longer counts. False if there was none."""
    block = await blocks.get(range)
    if block is None or block.until <= now:
        return False
    await blocks.put(replace(block, since=now, until=0.0))
    return True


def _blocked(range: str) -> SendFailed:
    return SendFailed(
        "the number's range is blocked: it receives and never verifies", code="range", mend=_mend(range)
    )


def _look() -> str:
    return "look for a flood of sign-ins (`auth-gateway sms status`, docs/sms.md)"


def _mend(range: str) -> str:
    return f"{_look()}; if they are real: `auth-gateway sms unblock {range}`"
