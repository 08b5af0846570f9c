"""The page about text messages and calls: what they cost, whether they arrive, who gets none for a while."""

from dataclasses import dataclass, replace

from aiohttp import web

from gateway.admin.pages.base import Call, Paper
from gateway.admin.services import AdminServices
from gateway.config.sections.sms_migration import begins
from gateway.messaging.sms.spending import PURSES, start_of_day
from gateway.stores.protocols.sms import SmsBlock, SmsMessage, SmsRates, SmsSpend
from gateway.stores.protocols.user_search import FoundUsers, UserQuery

_LAST = 50
_NAMED = 20
_WEEK, _MONTH = 7 * 86400.0, 30 * 86400.0


@dataclass(frozen=True, slots=True)
class Cap:
    """What a channel has cost today, and what it may cost, in units of the currency."""

    channel: str
    spent: float
    cap: float


@dataclass(frozen=True, slots=True)
class SmsNumbers:
    """Money in units of `currency`; `rates` of the last seven days."""

    currency: str
    caps: list[Cap]
    today: list[SmsSpend]
    rates: list[SmsRates]
    last: list[SmsMessage]
    blocks: list[SmsBlock]


async def sms_numbers(admin: AdminServices) -> SmsNumbers:
    """Collect costs, deliveries and blocked ranges, of today and of the last week."""
    sms, now = admin.services.messaging.sms, admin.services.clock()
    caps = [
        Cap(channel.value, await sms.spend.today(channel) / 1e6, sms.spend.cap(channel) / 1e6)
        for channel in PURSES
    ]
    reports = sms.stores.reports
    return SmsNumbers(
        currency=admin.config.sms.spending.currency,
        caps=caps,
        today=list(await reports.spend(start_of_day(now))),
        rates=list(await reports.rates(now - _WEEK)),
        last=list(await reports.last(_LAST)),
        blocks=list(await sms.stores.blocks.list(now)),
    )


@dataclass(frozen=True, slots=True)
class SmsAlone:
    """Who may sign in and has SMS, who of them nothing safer, and how many of these `sms.migration` does not exempt."""

    have: int
    alone: FoundUsers
    planned: int


async def sms_alone(admin: AdminServices) -> SmsAlone:
    """Count them, and name the first."""
    alone = UserQuery(factors="sms_alone", disabled=False)
    exempt = admin.config.sms.migration.exempt_groups
    found = await admin.found.find(alone, limit=_NAMED)
    outside = await admin.found.find(replace(alone, outside=exempt), limit=1) if exempt else found
    have = await admin.found.find(replace(alone, factors="sms"), limit=1)
    return SmsAlone(have=have.total, alone=found, planned=outside.total)


class SmsScreens:
    """The page of text messages and calls."""

    def __init__(self, paper: Paper) -> None:
        self._paper = paper

    async def show(self, call: Call) -> web.StreamResponse:
        """Show costs, deliveries, who has SMS alone, and the plan to leave it."""
        admin = self._paper.admin
        now, plan = admin.services.clock(), admin.config.sms.migration
        return self._paper.page(
            call,
            "sms.html",
            "/sms",
            sms=await sms_numbers(admin),
            costs=await admin.services.messaging.sms.stores.reports.costs(now - _MONTH),
            alone=await sms_alone(admin),
            plan=plan,
            ended=plan.after == "deny" and plan.deadline is not None and now >= begins(plan.deadline),
        )
