"""Puts together what stands between the factors and the SMS provider."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from gateway.clock import Clock
from gateway.config.sections.sms_email import Sms as SmsConfig
from gateway.config.sections.sms_email import TwilioAccount
from gateway.keyring import KeyRing
from gateway.messaging.senders.base import SmsProvider
from gateway.messaging.sms.channels import ChannelOrder
from gateway.messaging.sms.cool_off import CoolOff
from gateway.messaging.sms.delivery_reports import Deliveries
from gateway.messaging.sms.dispatch import SmsDispatch
from gateway.messaging.sms.outage import Outage
from gateway.messaging.sms.pumping import Ranges
from gateway.messaging.sms.spending import Channel, Spend
from gateway.observability.audit import Audit
from gateway.rate_limits import RateLimits
from gateway.stores.protocols.ledger import Ledger
from gateway.stores.protocols.sms import SmsStores


@dataclass(frozen=True, slots=True)
class Sms:
    """What the factors and the sweep need of SMS. `rounds` is work to be done every few minutes."""

    provider: SmsProvider
    dispatch: SmsDispatch
    deliveries: Deliveries
    cool_off: CoolOff
    spend: Spend
    stores: SmsStores
    rounds: tuple[Callable[[], Awaitable[object]], ...]

    async def close(self) -> None:
        await self.provider.close()


def build_sms_dispatch(
    config: SmsConfig,
    provider: SmsProvider,
    stores: SmsStores,
    ledger: Ledger,
    limits: RateLimits,
    audit: Audit,
    ring: KeyRing,
    clock: Clock,
) -> Sms:
    """Build the dispatch of SMS with its budgets, cap, ranges and reports."""
    spend = Spend(config=config.spending, ledger=ledger, audit=audit, clock=clock)
    ranges = Ranges(
        config=config.pumping, blocks=stores.blocks, messages=stores.messages, audit=audit, clock=clock
    )
    dispatch = SmsDispatch(
        config=config,
        limits=limits,
        spend=spend,
        ranges=ranges,
        outage=Outage(ledger=ledger, audit=audit, provider=config.provider),
        messages=stores.messages,
        keys=partial(ring.derive_all, b"numbers"),
        clock=clock,
        calls=provider.calls,
        order=ChannelOrder(
            config.channels if isinstance(config, TwilioAccount) else {}, stores.messages, clock
        ),
        audit=audit,
    )
    deliveries = Deliveries(
        config=config.spending,
        messages=stores.messages,
        spend=spend,
        ledger=ledger,
        audit=audit,
        clock=clock,
        bills=provider.bills,
    )
    return Sms(
        provider=provider,
        dispatch=dispatch,
        deliveries=deliveries,
        cool_off=CoolOff(stores.changes, config.cool_off, clock),
        spend=spend,
        stores=stores,
        rounds=(deliveries.settle, partial(spend.today, Channel.SMS), partial(spend.today, Channel.CALL)),
    )
