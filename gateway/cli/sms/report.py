"""`auth-gateway sms report`: who has SMS alone, how codes fare by country and carrier, what a sign-in costs.

Carriers are told from users' numbers as they were first given out; where a number was taken along to another carrier,
it counts at the old one. The numbers are in the directory only, so records of numbers that nobody has any more have
none.
"""

import hmac
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from pathlib import Path

import click
import phonenumbers

from gateway.authn.factors.phone_lines import SECOND_PHONE
from gateway.authn.factors.sms_migration import SAFER, SmsMigrationPlan
from gateway.cli.context import Opened, config_option, json_option, print_json, run
from gateway.directory.base import every
from gateway.messaging.sms.spending import show_money
from gateway.stores.sql.sms_report import SqlSmsReport

Facts = dict[str, object]
_SHOWN = 50


@click.command("report")
@click.option(
    "--days", type=click.IntRange(1, 3650), default=30, show_default=True, help="How far to look back."
)
@click.option("--all", "all_names", is_flag=True, help="Name everybody who has SMS alone, not the first 50.")
@json_option
@config_option
def report(days: int, all_names: bool, as_json: bool, config_file: Path) -> None:
    """Show who has SMS alone, delivery by country and carrier, and what a sign-in costs."""
    facts = run(config_file, lambda opened: _facts(opened, days))
    if as_json:
        print_json(facts)
        return
    for line in _lines(facts, all_names):
        click.echo(line)


@dataclass
class CarrierSums:
    """Sums of one country and carrier; `micros` are millionths of the currency."""

    messages: int = 0
    delivered: int = 0
    failed: int = 0
    verified: int = 0
    sign_ins: int = 0
    micros: int = 0


async def _facts(opened: Opened, days: int) -> Facts:
    stored = SqlSmsReport(opened.engine)
    safer, second = await stored.holders(SAFER), await stored.holders([SECOND_PHONE])
    plan = SmsMigrationPlan(opened.config.sms.migration, opened.credentials, opened.clock)
    alone: list[str] = []
    exempt: list[str] = []
    carriers: dict[str, str] = {}
    have = 0
    keys = opened.keys.derive_all(b"numbers")
    async for page in every(opened.people, ""):
        for user in page:
            if user.phone:
                carriers |= dict.fromkeys(_hashes(keys, user.phone), _carrier(user.phone))
            if user.disabled or not (user.phone or user.username in second):
                continue
            have += 1
            if user.username not in safer:
                (exempt if plan.exempts(user) else alone).append(user.username)
    return {
        "days": days,
        "plan": _plan(opened, plan),
        "users_with_sms": have,
        "sms_alone": alone,
        "sms_alone_exempt": exempt,
        "rows": await _rows(stored, opened.clock() - days * 86400.0, carriers),
    }


def _plan(opened: Opened, plan: SmsMigrationPlan) -> Facts:
    config = opened.config.sms.migration

    def shown(day: date | None) -> str | None:
        return day.isoformat() if day else None

    days = {"nudge_from": shown(config.nudge_from), "deadline": shown(config.deadline)}
    return {**days, "after": config.after, "denies": plan.denies}


async def _rows(stored: SqlSmsReport, since: float, carriers: dict[str, str]) -> list[Facts]:
    sums: dict[tuple[str, str, str], CarrierSums] = defaultdict(CarrierSums)
    for one in await stored.by_number(since):
        row = sums[one.country, carriers.get(one.number, ""), one.currency]
        row.messages += one.messages
        row.delivered += one.delivered
        row.failed += one.failed
        row.verified += one.verified
        row.sign_ins += one.sign_ins
        row.micros += one.micros
    ordered = sorted(sums.items(), key=lambda item: (-item[1].messages, item[0]))
    return [
        {"country": country, "carrier": carrier, "currency": currency, **vars(row)}
        | {"micros_per_sign_in": row.micros // row.sign_ins if row.sign_ins else None}
        for (country, carrier, currency), row in ordered
    ]


def _carrier(phone: str) -> str:
    """The name of the carrier that a number was given out to, "" where nobody publishes it."""
    from phonenumbers import carrier  # 10 MiB of names, which no worker needs

    return str(carrier.name_for_number(phonenumbers.parse(phone), "en"))


def _hashes(keys: Iterable[bytes], phone: str) -> list[str]:
    return [hmac.new(key, phone.encode(), sha256).hexdigest() for key in keys]


def _lines(facts: Facts, all_names: bool) -> list[str]:
    alone, rows, plan = facts["sms_alone"], facts["rows"], facts["plan"]
    assert isinstance(alone, list)
    assert isinstance(rows, list)
    assert isinstance(plan, dict)
    lines = [f"SMS alone: {len(alone)} of {facts['users_with_sms']} users who have SMS"]
    shown = alone if all_names else alone[:_SHOWN]
    lines += [f"  {name}" for name in shown]
    if len(shown) < len(alone):
        lines.append(f"  … and {len(alone) - len(shown)} more (--all)")
    exempt = facts["sms_alone_exempt"]
    if isinstance(exempt, list) and exempt:
        lines.append(f"exempt from sms.migration: {len(exempt)}")
    lines.append(_plan_line(plan))
    lines.append(f"last {facts['days']} days:" if rows else f"no messages in the last {facts['days']} days")
    lines += [_row_line(row) for row in rows]
    return lines


def _plan_line(plan: Facts) -> str:
    if plan["denies"]:
        return f"plan: SMS has ended on {plan['deadline']}"
    if not plan["nudge_from"] and not plan["deadline"]:
        return "plan: none (sms.migration)"
    then = "is refused" if plan["after"] == "deny" else "is asked about"
    until = f"; from {plan['deadline']} on SMS {then}" if plan["deadline"] else ""
    return f"plan: asked from {plan['nudge_from'] or plan['deadline']} on{until}"


def _row_line(row: Facts) -> str:
    each = row["micros_per_sign_in"]
    cost = show_money(int(str(each)), str(row["currency"])) if each is not None else "–"
    counts = ", ".join(f"{row[key]} {key}" for key in ("messages", "delivered", "failed", "verified"))
    return f"  {row['country']} {row['carrier'] or 'other carriers'}: {counts}, {cost} a sign-in"
