"""`auth-gateway sms test`: sends one real message through the configured vendor and says what became of it.

It passes the same rules and counts against the same money as a code, but sets off no alarm and moves nobody to the
second vendor. It prints neither secrets nor whole numbers.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import click

from gateway.cli.context import Opened, config_option, json_option, print_json, run
from gateway.config.sections.sms_backup import template_of
from gateway.directory import identifiers
from gateway.errors import GatewayError, SendFailed
from gateway.i18n.catalogues import language
from gateway.i18n.text import N_
from gateway.messaging.addresses import country_of, mask_phone
from gateway.messaging.senders.base import CodeService, Report, SmsProvider
from gateway.messaging.senders.build import build_backup, build_sms
from gateway.messaging.sms.build import backup_prices
from gateway.messaging.sms.channels import ChannelOrder
from gateway.messaging.sms.dispatch import SmsDispatch
from gateway.messaging.sms.outage import Outage
from gateway.messaging.sms.outgoing import OutgoingSms
from gateway.messaging.sms.pumping import Ranges
from gateway.messaging.sms.spending import Channel, Spend, price_of, show_money
from gateway.observability.audit import Audit
from gateway.rate_limits import RateLimits
from gateway.stores.protocols.sms import DELIVERED, FINAL
from gateway.stores.sql.sms import SqlSmsBlocks, SqlSmsMessages

Facts = dict[str, object]
_EVERY = 2.0
"""Seconds between two looks at the delivery."""


@click.command("test")
@click.argument("number")
@click.option(
    "--backup", "by_backup", is_flag=True, help="Through sms.backup, although the first vendor is well."
)
@click.option(
    "--wait",
    type=click.FloatRange(0, 600),
    default=60.0,
    show_default=True,
    help="Seconds to wait for delivery.",
)
@json_option
@config_option
def send_test(number: str, by_backup: bool, wait: float, as_json: bool, config_file: Path) -> None:
    """Send one real message to NUMBER and say what became of it. It costs what an SMS costs."""
    facts = run(config_file, lambda opened: _tried(opened, number, by_backup, wait))
    if as_json:
        print_json(facts)
    else:
        for line in _lines(facts):
            click.echo(line)
    sys.exit(1 if facts["state"] in ("refused", "failed") else 0)


async def _tried(opened: Opened, number: str, by_backup: bool, wait: float) -> Facts:
    config = opened.config.sms
    phone = identifiers.phone(number, country=config.default_country)
    if not phone:
        raise GatewayError("name the number to send to, like +4915112345678")
    if by_backup and config.backup is None:
        raise GatewayError("there is no sms.backup in the configuration")
    vendor = template_of(config.backup).name if by_backup and config.backup else config.provider
    facts: Facts = {"to": mask_phone(phone), "country": country_of(phone), "vendor": vendor}
    audit = Audit(opened.audit, opened.clock)
    provider = build_sms(config, sys.stdout, status_url=_status_url(opened))
    if by_backup and config.backup:
        await provider.close()
        provider = SmsProvider(build_backup(config.backup))
    try:
        facts |= await _sent(opened, provider, audit, phone, vendor, by_backup=by_backup)
        if facts["state"] == "taken" and provider.progress is not None:
            look = partial(provider.progress.look, str(facts["id"]))
            facts |= await _followed(look, wait, asyncio.sleep)
    except SendFailed as failure:
        facts |= {"state": "refused", "code": failure.code, "cause": failure.detail, "mend": failure.mend}
    finally:
        await provider.close()
        await audit.flush()
    await opened.record("sms_test", to=facts["to"], vendor=vendor, state=facts["state"])
    return facts


async def _sent(
    opened: Opened, provider: SmsProvider, audit: Audit, phone: str, vendor: str, *, by_backup: bool
) -> Facts:
    """Send it. Raises SendFailed, also where our own rules refuse."""
    config, messages = opened.config.sms, SqlSmsMessages(opened.engine)
    spend = Spend(config=config.spending, ledger=opened.state.ledger, audit=audit, clock=opened.clock)
    dispatch = _dispatch(opened, spend, messages, audit)
    outgoing = OutgoingSms(username="", phone=phone, session="sms test", ip="127.0.0.1", text_only=True)
    admission = await dispatch.admit(outgoing, Channel.SMS)
    brand, spoken = opened.config.branding.name, language(opened.config.branding.language)
    text = spoken.text(N_("Test message from %(brand)s. You need do nothing.", brand=brand))
    async with dispatch.sending(admission) as sending:
        if isinstance(provider.sender, CodeService):
            sending.sid = await provider.sender.start(phone)
        else:
            sending.sid = await provider.sender.send(phone, text, sending.id)
        if by_backup and config.backup:
            cost = price_of(phone, Channel.SMS, backup_prices(config.spending, config.backup))
            before = await messages.move(sending.id, vendor, cost)
            await spend.correct(Channel.SMS, opened.clock(), cost - (before.micros if before else cost))
        else:
            cost = admission.micros
    money = {"micros": cost, "currency": config.spending.currency, "estimate": True}
    return {"state": "taken", "id": sending.sid, **money}


class _NoAlarm(Outage):
    """A test that fails is told to who runs it, and to nobody else."""

    async def failed(self, failure: SendFailed) -> None:
        """Tell nobody."""


def _dispatch(opened: Opened, spend: Spend, messages: SqlSmsMessages, audit: Audit) -> SmsDispatch:
    config, blocks = opened.config.sms, SqlSmsBlocks(opened.engine)
    return SmsDispatch(
        config=config,
        limits=RateLimits(opened.state.ledger, opened.spent),
        spend=spend,
        ranges=Ranges(
            config=config.pumping, blocks=blocks, messages=messages, audit=audit, clock=opened.clock
        ),
        outage=_NoAlarm(ledger=opened.state.ledger, audit=audit, provider=config.provider),
        messages=messages,
        keys=partial(opened.keys.derive_all, b"numbers"),
        clock=opened.clock,
        calls=False,
        order=ChannelOrder({}, messages, opened.clock),
        audit=audit,
    )


def _status_url(opened: Opened) -> str:
    server = opened.config.server
    return f"{server.public_url}{server.prefix}/sms/status"


async def _followed(
    look: Callable[[], Awaitable[Report]], wait: float, sleep: Callable[[float], Awaitable[None]]
) -> Facts:
    """What became of a message within `wait` seconds."""
    waited = 0.0
    while True:
        report = await look()
        delivery = report.delivery
        facts: Facts = {"status": delivery.status, "waited": waited}
        if report.cost is not None:
            facts |= {"micros": report.cost.micros, "currency": report.cost.currency, "estimate": False}
        if delivery.stage >= FINAL:
            good = delivery.status in DELIVERED
            failed = {"code": delivery.error, "cause": delivery.cause, "mend": delivery.mend}
            return facts | ({"state": "delivered"} if good else {"state": "failed", **failed})
        if waited >= wait:
            return facts | {"state": "on its way"}
        await sleep(_EVERY)
        waited += _EVERY


def _lines(facts: Facts) -> list[str]:
    lines = [f"to {facts['to']} ({facts['country']}) through {facts['vendor']}"]
    match facts["state"]:
        case "refused":
            return [*lines, f"not sent: {facts['cause']} ({facts['code']})", f"to do: {facts['mend']}"]
        case "failed":
            code = f" ({facts['code']})" if facts["code"] else ""
            lines += [
                f"taken, but not delivered: {facts['cause']}{code}",
                f"to do: {facts['mend'] or 'look there'}",
            ]
        case "delivered":
            lines.append(f"delivered after {facts['waited']:g} s")
        case "on its way":
            lines.append(f"taken, and not delivered after {facts['waited']:g} s: it is {facts['status']}")
        case _:
            lines.append("taken; this vendor does not tell whether it arrived: look at the phone")
    money = show_money(int(str(facts["micros"])), str(facts["currency"]))
    lines.append(f"price: about {money}, as sms.spending has it" if facts["estimate"] else f"price: {money}")
    return lines
