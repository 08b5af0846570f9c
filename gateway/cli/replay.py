"""`auth-gateway replay`: what a configuration would have said to the requests in an access log, and where it differs.

Nothing is changed and no app is asked. Groups are today's, from the directory: the log does not hold them.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any, TextIO

import click

from gateway.authn.risk.geo import Geo, country_finder
from gateway.cli.context import Opened, config_option, json_option, print_json, run
from gateway.config.schema import Config
from gateway.errors import RequestRefused
from gateway.model import Principal, SessionRecord, Target, User
from gateway.policy.decide import Routes, decide, hinges_on_query
from gateway.request.target import CountryOf, check_spelling, make_target

DIFFERENT = 1
_REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Difference:
    """What requests of one kind got, and what they would get. `count` is how many there were."""

    method: str
    host: str
    path: str
    user: str
    was: str
    would_be: str
    rule: str
    reason: str
    count: int = 1


class _Unknown(Exception):
    """The log does not say enough of the request for these rules."""


@dataclass(slots=True)
class ReplayReport:
    """What came out: how many requests of the log were asked about, and which are decided otherwise."""

    requests: int
    skipped: int
    unknown: int
    """Requests about which a rule asks for the query, which the log does not hold."""
    differences: list[Difference]


@click.command()
@click.argument("logs", nargs=-1, required=True, type=click.File("r", encoding="utf-8", errors="replace"))
@config_option
@click.option(
    "--most", type=click.IntRange(min=1), default=50, show_default=True, help="Differences to print."
)
@json_option
def replay(logs: tuple[TextIO, ...], config_file: Path, most: int, as_json: bool) -> None:
    """Ask the rules about logged requests. LOGS are files of our JSON access log; - is standard input.

    Exit 0 if all get what they got, 1 with the differences, 2 for a configuration with mistakes.
    """

    async def work(opened: Opened) -> ReplayReport:
        return await compare(opened.config, (line for log in logs for line in log), opened.people.get)

    outcome = run(config_file, work)
    if as_json:
        print_json({**asdict(outcome), "differences": [asdict(one) for one in outcome.differences[:most]]})
    else:
        click.echo(as_text(outcome, most))
    raise click.exceptions.Exit(DIFFERENT if outcome.differences else 0)


async def compare(
    config: Config, lines: Iterable[str], look_up: Callable[[str], Awaitable[User | None]]
) -> ReplayReport:
    """Ask the rules about each request of a log, and collect where they differ. `lines` are of the access log; what is
    no request with a decision is skipped.
    """
    routes, users, counts = Routes(config.routes), dict[str, User | None](), Counter[Difference]()
    country_of = country_finder(config, Geo(config.risk.geoip_file))
    requests = skipped = unknown = 0
    for number, entry in enumerate(_entries(lines)):
        if number % 1000 == 0:
            await asyncio.sleep(0)  # Ctrl-C is heard
        try:
            name = str(entry["user"])
            if name and name not in users:
                users[name] = await look_up(name)
            difference = _difference(routes, entry, users.get(name), country_of)
        except _Unknown:
            unknown += 1
            continue
        except (KeyError, TypeError, ValueError, AttributeError):
            skipped += 1
            continue
        requests += 1
        if difference is not None:
            counts[difference] += 1
    found = [Difference(**{**asdict(one), "count": count}) for one, count in counts.most_common()]
    return ReplayReport(requests=requests, skipped=skipped, unknown=unknown, differences=found)


def _entries(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    """The requests to apps; the gateway's own pages are ruled by code, not by configuration."""
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and entry.get("event") == "request" and entry.get("route") != "portal":
            yield entry


def _difference(
    routes: Routes, entry: dict[str, Any], user: User | None, country_of: CountryOf
) -> Difference | None:
    """Raises KeyError, TypeError and ValueError for an entry that lacks what is needed (an older log)."""
    now = datetime.fromisoformat(entry["ts"]).timestamp()
    principal = _principal(user, entry["user"], entry["factors"], now)
    was = entry["verdict"] or _REFUSED
    verdict, rule, reason = _verdict(routes, entry, principal, now, country_of)
    if verdict == was:
        return None
    return Difference(
        method=entry["method"],
        host=entry["host"],
        path=entry["path"],
        user=entry["user"],
        was=was,
        would_be=verdict,
        rule=rule,
        reason=reason,
    )


def _verdict(
    routes: Routes, entry: dict[str, Any], principal: Principal | None, now: float, country_of: CountryOf
) -> tuple[str, str, str]:
    try:
        target = _target(entry, country_of)
        route = routes.find(target)
        if route is None:
            return _REFUSED, "", "no route"
        check_spelling(target.path, route.allow_in_path)
        if hinges_on_query(route, target, principal, now):
            raise _Unknown
    except RequestRefused as refusal:
        return _REFUSED, "", refusal.detail
    decision = decide(route, target, principal, now)
    return decision.verdict.value, decision.rule, decision.reason


def _target(entry: dict[str, Any], country_of: CountryOf) -> Target:
    client = ip_address(entry["client"])
    return make_target("https", entry["host"], entry["method"], entry["path"], client, country_of(client))


def _principal(user: User | None, name: str, ages: dict[str, float], now: float) -> Principal | None:
    """Somebody who is gone or disabled would be nobody today."""
    if not name or user is None or user.disabled:
        return None
    proven = {factor: now - float(age) for factor, age in ages.items()}
    began = min(proven.values(), default=now)
    return Principal(
        user,
        SessionRecord(
            sid="replayed",
            username=name,
            amr=tuple(proven),
            proven_at=proven,
            created_at=began,
            last_seen=now,
            expires_at=now + 1,
        ),
    )


def as_text(outcome: ReplayReport, most: int) -> str:
    """Return the report as text, with at most `most` lines of differences."""
    lines = [_as_line(one) for one in outcome.differences[:most]]
    if len(outcome.differences) > most:
        lines.append(f"... and {len(outcome.differences) - most} more kinds (--most)")
    changed = sum(one.count for one in outcome.differences)
    lines.append(f"{outcome.requests} requests, {changed} would be decided otherwise")
    if outcome.unknown:
        lines.append(
            f"{outcome.unknown} were not asked about: their rules want to know the query, which no log has"
        )
    if outcome.skipped:
        lines.append(f"{outcome.skipped} lines were skipped: they do not say what was proven (an older log?)")
    return "\n".join(lines)


def _as_line(one: Difference) -> str:
    # json.dumps keeps what a visitor typed from moving the terminal's cursor
    what = " ".join(
        json.dumps(text)[1:-1] for text in (one.method, one.host + one.path, one.user or "nobody")
    )
    by = f" by {one.rule}" if one.rule else ""
    return f"{one.count:6} x {what}: {one.was} -> {one.would_be}{by} ({one.reason})"
