"""Puts together what stands between the factors and the SMS provider."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from gateway.audit import Audit
from gateway.clock import Clock
from gateway.config.delivery import Sms as SmsConfig
from gateway.keyring import KeyRing
from gateway.limits import Limits
from gateway.senders.base import SmsProvider
from gateway.sms.cool_off import CoolOff
from gateway.sms.deliveries import Deliveries
from gateway.sms.desk import SmsDesk
from gateway.sms.prices import Channel
from gateway.sms.ranges import Ranges
from gateway.sms.spend import Spend
from gateway.stores.base import Ledger
from gateway.stores.base_sms import SmsStores


@dataclass(frozen=True, slots=True)
class Sms:
    """`rounds` is work that comes round now and then."""

    provider: SmsProvider
    desk: SmsDesk
    deliveries: Deliveries
    cool_off: CoolOff
    spend: Spend
    stores: SmsStores
    rounds: tuple[Callable[[], Awaitable[object]], ...]

    async def close(self) -> None:
        await self.provider.close()


def build_desk(
    config: SmsConfig,
    provider: SmsProvider,
    stores: SmsStores,
    ledger: Ledger,
    limits: Limits,
    audit: Audit,
    ring: KeyRing,
    clock: Clock,
) -> Sms:
    spend = Spend(config.spending, ledger, audit, clock)
    ranges = Ranges(config.pumping, stores.blocks, stores.messages, audit, clock)
    desk = SmsDesk(
        config, limits, spend, ranges, stores.messages,
        lambda: ring.derive_all(b"numbers"), clock, calls=provider.calls,
    )  # fmt: skip
    deliveries = Deliveries(config.spending, stores.messages, spend, ledger, audit, clock, provider.bills)
    return Sms(
        provider, desk, deliveries, CoolOff(stores.changes, config.cool_off, clock), spend, stores,
        rounds=(deliveries.settle, lambda: spend.today(Channel.SMS), lambda: spend.today(Channel.CALL)),
    )  # fmt: skip
