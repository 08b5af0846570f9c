"""What an SMS or a call costs, and the daily cap in money. Money is counted in millionths.

The cap is counted in the Ledger before anything is sent, so that no worker can overdraw it.
"""

import logging
from collections.abc import Mapping
from enum import StrEnum

from gateway.clock import Clock
from gateway.config.sections.sms_budgets import SmsSpending
from gateway.errors import SendFailed
from gateway.messaging.addresses import country_of
from gateway.observability import metrics
from gateway.observability.audit import Audit
from gateway.stores.protocols.ledger import Hit, Ledger

MICROS = 1_000_000


class Channel(StrEnum):
    """How a code travels, as it is named in records and metrics."""

    SMS = "sms"
    CALL = "call"
    WHATSAPP = "whatsapp"
    RCS = "rcs"

    @property
    def purse(self) -> "Channel":
        """Return the channel under whose cap its money is counted: one for calls, one for all messages."""
        return Channel.CALL if self is Channel.CALL else Channel.SMS


PURSES = (Channel.SMS, Channel.CALL)
"""The channels that have caps of their own."""


def price_of(phone: str, channel: Channel, config: SmsSpending) -> int:
    """Return the expected price in micros: that of the longest number range that has one, else the country's, else
    the one for all.
    """
    tables = {
        Channel.SMS: (config.prices, config.price),
        Channel.CALL: (config.voice_prices, config.voice_price),
        Channel.WHATSAPP: (config.whatsapp_prices, config.whatsapp_price),
        Channel.RCS: (config.rcs_prices, config.rcs_price),
    }
    return micros(_listed(phone, *tables[channel]))


def _listed(phone: str, table: Mapping[str, float], otherwise: float) -> float:
    ranges = [start for start in table if start.startswith("+") and phone.startswith(start)]
    if ranges:
        return table[max(ranges, key=len)]
    return table.get(country_of(phone), otherwise)


def micros(amount: float) -> int:
    """Turn an amount of money into millionths of it."""
    return round(amount * MICROS)


def start_of_day(now: float) -> float:
    """Midnight UTC: where the day of the daily cap begins."""
    return now - now % 86400


def show_money(amount: int, currency: str) -> str:
    """Return an amount in millionths of the currency as people write it: 12_345_678 -> "12.35 USD"."""
    return f"{amount / MICROS:.2f} {currency}"


log = logging.getLogger("gateway.sms")
_DAY = 86400.0
_KEPT = 3 * _DAY
"""A day's count outlives the day, since bills come late."""


class Spend:
    """Counts what SMS and calls cost today (UTC)."""

    def __init__(self, config: SmsSpending, ledger: Ledger, audit: Audit, clock: Clock) -> None:
        self._config, self._ledger, self._audit, self._clock = config, ledger, audit, clock

    def cap(self, channel: Channel) -> int:
        """Return the cap of a channel in micros."""
        config = self._config
        return micros(config.daily_voice_cap if channel is Channel.CALL else config.daily_cap)

    async def reserve(self, channel: Channel, amount: int) -> None:
        """Count an amount in millionths of the currency. Raises SendFailed (code "cap"), with nothing counted, if it
        is over the cap.
        """
        at = self._clock()
        total = await self._count(channel, at, amount)
        if total > self.cap(channel):
            await self._count(channel, at, -amount)  # of that day, also a moment after midnight
            await self._tell(channel)
            raise SendFailed(
                f"the daily cap for {_NAMES[channel.purse]} is reached",
                code="cap",
                mend=self._mend(channel),
                next_channel=True,
            )

    def hit(self, channel: Channel, amount: int) -> Hit:
        """Return what counts an amount in millionths, as `reserve` does, for a step that counts more beside it."""
        return Hit(key=_slot(channel, self._clock()), window=_KEPT, limit=self.cap(channel), amount=amount)

    def reserved(self, channel: Channel, total: int) -> None:
        """Note what is counted of today, once that step is done."""
        self._show(channel, total)

    async def correct(self, channel: Channel, at: float, difference: int) -> None:
        """Correct the count of the day of `at` (Unix seconds) by `difference` micros, once the real price
        is known.
        """
        if difference and self._clock() - at < _KEPT:
            await self._count(channel, at, difference)

    async def today(self, channel: Channel) -> int:
        """Return what is counted so far today, in micros."""
        total = await counted_today(self._ledger, channel, self._clock())
        self._show(channel, total)
        return total

    async def _count(self, channel: Channel, at: float, amount: int) -> int:
        total = await self._ledger.hit(_slot(channel, at), _KEPT, amount)
        if start_of_day(at) == start_of_day(self._clock()):
            self._show(channel, total)
        return total

    def _show(self, channel: Channel, total: int) -> None:
        metrics.sms_spend.labels(self._config.currency, channel.purse.value).set(total / 1_000_000)

    async def _tell(self, channel: Channel) -> None:
        """Once a day the operator hears of it, however many are turned away."""
        if not await self._ledger.claim_once(f"{_slot(channel, self._clock())}:told", _DAY):
            return
        cap = show_money(self.cap(channel), self._config.currency)
        log.error(
            "the daily cap of %s for %s is reached; until midnight UTC sign-ins go on by sms.fallback. %s",
            cap,
            _NAMES[channel.purse],
            self._mend(channel),
        )
        self._audit.record("sms_cap_reached", channel=channel.purse.value, cap=cap, mend=self._mend(channel))

    def _mend(self, channel: Channel) -> str:
        return f"see `auth-gateway sms status`; if these sign-ins are real, raise sms.spending.{_KEYS[channel.purse]}"


async def counted_today(ledger: Ledger, channel: Channel, now: float) -> int:
    """Return what is counted so far on the day of `now`, in micros."""
    total, _ = await ledger.count(_slot(channel, now))
    return total


_NAMES = {Channel.SMS: "SMS", Channel.CALL: "calls"}
_KEYS = {Channel.SMS: "daily_cap", Channel.CALL: "daily_voice_cap"}


def _slot(channel: Channel, at: float) -> str:
    return f"sms-spend:{channel.purse}:{int(start_of_day(at))}"
