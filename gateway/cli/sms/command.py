"""`auth-gateway sms …`: what SMS and calls cost today, how they arrive, and which ranges of numbers are blocked."""

from dataclasses import asdict
from pathlib import Path

import click

from gateway.cli.context import Opened, config_option, json_option, moment, print_json, run
from gateway.cli.sms.report import report
from gateway.cli.sms.trial import send_test
from gateway.config.sections.sms_backup import template_of
from gateway.errors import GatewayError
from gateway.messaging.sms.failover import read_down
from gateway.messaging.sms.pumping import unblock as lift
from gateway.messaging.sms.spending import PURSES, Channel, counted_today, micros, show_money, start_of_day
from gateway.stores.sql.sms import SqlSmsBlocks, SqlSmsMessages

Facts = dict[str, object]


@click.group()
def sms() -> None:
    """Look at SMS and calls: spending, delivery, blocked ranges; send a test."""


sms.add_command(send_test)
sms.add_command(report)


@sms.command()
@json_option
@config_option
def status(as_json: bool, config_file: Path) -> None:
    """Show today's spending, deliveries and blocks. Days begin at midnight UTC."""
    facts = run(config_file, _facts)
    if as_json:
        print_json(facts)
        return
    for line in _lines(facts):
        click.echo(line)


@sms.command()
@click.argument("range", metavar="PREFIX")
@config_option
def unblock(range: str, config_file: Path) -> None:
    """Lift the block of a range of numbers, such as +49151123."""
    wanted = "+" + range.removeprefix("+")

    async def work(opened: Opened) -> None:
        if not await lift(SqlSmsBlocks(opened.engine), wanted, opened.clock()):
            raise GatewayError(f"{wanted} is not blocked; see `auth-gateway sms status`")
        await opened.record("sms_range_unblocked", range=wanted)

    run(config_file, work)
    click.echo(f"unblocked {wanted}")


async def _facts(opened: Opened) -> Facts:
    now, spending = opened.clock(), opened.config.sms.spending
    since, messages = start_of_day(now), SqlSmsMessages(opened.engine)
    spent = {channel: await counted_today(opened.state.ledger, channel, now) for channel in PURSES}
    caps = {Channel.SMS: micros(spending.daily_cap), Channel.CALL: micros(spending.daily_voice_cap)}
    return {
        "currency": spending.currency,
        "channels": [
            {"channel": one.value, "spent_micros": spent[one], "cap_micros": caps[one]} for one in PURSES
        ],
        "vendors": await _vendors(opened, since),
        "spend": [asdict(one) for one in await messages.spend(since)],
        "delivery": [asdict(one) for one in await messages.rates(since)],
        "blocked": [asdict(one) for one in await SqlSmsBlocks(opened.engine).list(now)],
    }


async def _vendors(opened: Opened, since: float) -> list[Facts]:
    """The vendors that are configured, and those that sent today; `since` is when today began."""
    config, down = opened.config.sms, await read_down(opened.state.ledger)
    states: dict[str, Facts] = {config.provider: {"role": "first", "down_since": None, "cause": ""}}
    if config.backup is not None:
        states[template_of(config.backup).name] = {"role": "backup", "in_use": down is not None}
        if down is not None:
            states[config.provider] |= {"down_since": down.since, "cause": down.cause}
    sent = {one.provider: asdict(one) for one in await SqlSmsMessages(opened.engine).vendors(since)}
    nothing = {"messages": 0, "delivered": 0, "failed": 0, "micros": 0, "currency": config.spending.currency}
    names = [*states, *(name for name in sent if name not in states)]
    return [{"vendor": name, **states.get(name, {}), **sent.get(name, nothing)} for name in names]


def _vendor_line(one: Facts) -> str:
    money = show_money(int(str(one["micros"])), str(one["currency"]))
    state = ""
    if (since := one.get("down_since")) is not None:
        state = f", takes nothing since {moment(float(str(since)))}: {one['cause']}"
    elif one.get("role") == "backup":
        state = ", sends now" if one["in_use"] else ", stands by"
    counts = ", ".join(f"{one[key]} {key}" for key in ("messages", "delivered", "failed"))
    return f"  {one['vendor']}: {counts}, {money}{state}"


def _lines(facts: Facts) -> list[str]:
    currency = str(facts["currency"])
    lines = []
    for one in _rows(facts, "channels"):
        spent, cap = (show_money(one[key], currency) for key in ("spent_micros", "cap_micros"))
        lines.append(f"{one['channel']}: {spent} of {cap} today")
    for one in _rows(facts, "spend"):
        money = show_money(one["micros"], one["currency"])
        lines.append(f"  {one['country']} {one['channel']}: {one['messages']} for {money}")
    lines.append("vendors today:")
    lines += [_vendor_line(one) for one in _rows(facts, "vendors")]
    lines.append("delivery today:" if facts["delivery"] else "no messages today")
    for one in _rows(facts, "delivery"):
        counts = ", ".join(f"{one[key]} {key}" for key in ("delivered", "failed", "open", "verified"))
        lines.append(f"  {one['country']}: {one['messages']} messages, {counts}")
    lines.append("blocked ranges:" if facts["blocked"] else "no range is blocked")
    for one in _rows(facts, "blocked"):
        until = moment(one["until"])
        lines.append(f"  {one['range']} until {until}: {one['sends']} messages, {one['verified']} verified")
    return lines


def _rows(facts: Facts, key: str) -> list[dict]:  # type: ignore[type-arg]  # rows as JSON has them
    rows = facts[key]
    assert isinstance(rows, list)
    return rows
