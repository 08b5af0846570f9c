"""Follows a message after it was handed over: the provider's reports, and its bill."""

import logging

from gateway.clock import Clock
from gateway.config.sections.sms_budgets import SmsSpending
from gateway.errors import SendFailed
from gateway.messaging.senders.base import Bills, Cost, Report
from gateway.messaging.sms.dispatch import count_status
from gateway.messaging.sms.spending import Channel, Spend
from gateway.observability.audit import Audit
from gateway.stores.protocols.ledger import Ledger
from gateway.stores.protocols.sms import SmsMessage, SmsMessages

log = logging.getLogger("gateway.sms")
_SOONEST, _LATEST = 60.0, 2 * 86400.0
_TURN = 240.0


class Deliveries:
    """Notes reports and bills. `bills` is None where `provider` tells no prices."""

    def __init__(
        self,
        config: SmsSpending,
        messages: SmsMessages,
        spend: Spend,
        ledger: Ledger,
        audit: Audit,
        clock: Clock,
        bills: Bills | None,
        *,
        provider: str,
    ) -> None:
        self._config, self._messages, self._spend, self._ledger = config, messages, spend, ledger
        self._audit, self._clock, self._bills = audit, clock, bills
        self._provider = provider
        self._foreign = False

    async def take(self, report: Report) -> bool:
        """Note a report, which the provider signed. True if it was news; a repeated or stale one changes nothing."""
        delivery = report.delivery
        message = await self._messages.report(report.reference, delivery, self._clock())
        if message is not None:
            count_status(message, delivery.status)
            if delivery.problem:
                self._audit.record(
                    "sms_undelivered",
                    message.username,
                    channel=message.channel,
                    to=message.masked,
                    code=delivery.error,
                    cause=delivery.cause,
                    mend=delivery.mend,
                )
            if report.cost is not None:
                await self._bill(message, report.cost)
        return message is not None

    async def settle(self) -> None:
        """Ask for the bills that are still out. Several workers may do it at once."""
        if self._bills is None:
            return
        now = self._clock()
        for message in await self._messages.unpriced(now - _LATEST, now - _SOONEST, self._provider):
            if not await self._ledger.claim_once(f"sms-bill:{message.id}", _TURN):
                continue
            try:
                cost = await self._bills.cost(message.sid, message.channel)
            except SendFailed as failure:
                log.warning("prices of SMS can't be read: %s. %s", failure.detail, failure.mend)
                return
            if cost is not None:
                await self._bill(message, cost)

    async def _bill(self, message: SmsMessage, cost: Cost) -> None:
        """Put the price in the place of the estimate, once."""
        if cost.currency != message.currency:
            self._warn_of(cost.currency)
            return
        before = await self._messages.price(message.id, cost.micros)
        if before is not None:
            await self._spend.correct(Channel(before.channel), before.created_at, cost.micros - before.micros)

    def _warn_of(self, currency: str) -> None:
        if not self._foreign:
            self._foreign = True
            log.warning("the provider bills in %s: set sms.spending.currency and the prices to it", currency)
