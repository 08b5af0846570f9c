"""Puts together what stands between the factors and the SMS provider."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial

from gateway.clock import Clock
from gateway.config.sections.sms_backup import SmsBackup, template_of
from gateway.config.sections.sms_budgets import SmsSpending
from gateway.config.sections.sms_email import Sms as SmsConfig
from gateway.config.sections.sms_email import TwilioAccount
from gateway.keyring import KeyRing
from gateway.messaging.senders.base import CodeService, SmsProvider
from gateway.messaging.senders.build import build_backup
from gateway.messaging.sms.channels import ChannelOrder
from gateway.messaging.sms.cool_off import CoolOff
from gateway.messaging.sms.delivery_reports import Deliveries
from gateway.messaging.sms.dispatch import SmsDispatch
from gateway.messaging.sms.failover import FailoverSender, Vendor, VendorHealth
from gateway.messaging.sms.lookup import Lookups
from gateway.messaging.sms.lookup_answers import LookupAnswers
from gateway.messaging.sms.outage import Outage
from gateway.messaging.sms.pumping import Ranges
from gateway.messaging.sms.spending import Channel, Spend, price_of
from gateway.observability.audit import Audit
from gateway.rate_limits import RateLimits
from gateway.stores.protocols.ledger import Ledger
from gateway.stores.protocols.sms import SmsMessages, SmsStores


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
    if config.backup is not None:
        health = VendorHealth(ledger, audit, clock, back_after=config.backup.back_after)
        provider = _with_backup(config, config.backup, provider, health, stores.messages, spend)
    ranges = Ranges(
        config=config.pumping, blocks=stores.blocks, messages=stores.messages, audit=audit, clock=clock
    )
    lookups = None
    if provider.lookup is not None and isinstance(config, TwilioAccount):
        answers = LookupAnswers(
            config=config.lookup,
            lookup=provider.lookup,
            limits=limits,
            per_user_hourly=config.budgets.user_hourly,
            ledger=ledger,
            spend=spend,
            messages=stores.messages,
            audit=audit,
            seal=ring.seal,
            open=ring.open,
            clock=clock,
        )
        lookups = Lookups(config=config.lookup, answers=answers, ledger=ledger, audit=audit, clock=clock)
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
        lookups=lookups,
    )
    deliveries = Deliveries(
        config=config.spending,
        messages=stores.messages,
        spend=spend,
        ledger=ledger,
        audit=audit,
        clock=clock,
        bills=provider.bills,
        provider=config.provider,
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


def _with_backup(
    config: SmsConfig,
    backup: SmsBackup,
    provider: SmsProvider,
    health: VendorHealth,
    messages: SmsMessages,
    spend: Spend,
) -> SmsProvider:
    """The provider, whose text messages a second vendor sends while it takes none."""
    if isinstance(provider.sender, CodeService):  # `check` refuses that: nobody else can send its codes
        return provider
    name, prices = template_of(backup).name, backup_prices(config.spending, backup)

    async def moved(reference: str, to: str, maybe_twice: bool) -> None:
        micros = price_of(to, Channel.SMS, prices)
        before = await messages.move(reference, name, micros)
        if before is not None:
            # What the first vendor may have sent as well is counted, too: its bill would find no record.
            twice = before.micros if maybe_twice else 0
            await spend.correct(Channel.SMS, before.created_at, micros - before.micros + twice)

    sender = FailoverSender(
        first=Vendor(config.provider, provider.sender),
        second=Vendor(name, build_backup(backup)),
        health=health,
        moved=moved,
    )
    return replace(provider, sender=sender)


def backup_prices(spending: SmsSpending, backup: SmsBackup) -> SmsSpending:
    """What messages cost at the second vendor: as at the first, where the operator says nothing else."""
    if backup.price is None and not backup.prices:
        return spending
    price = spending.price if backup.price is None else backup.price
    return spending.model_copy(update={"prices": backup.prices, "price": price})
