"""`auth-gateway check`: says whether a configuration is sound, and if not, everything that is wrong with it.

Reads the file, its secret files and certificates; starts nothing, and connects to nothing but, for `--explain --user`,
the directory of users and, for `--live`, all that `serve` needs.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, replace
from ipaddress import ip_address
from pathlib import Path
from typing import Any, get_args

import click

from gateway.authn.risk.geo import Geo, country_finder
from gateway.cli.check.explain import Supposed, answer, as_text, parse_time, unknown
from gateway.cli.check.live import live_mistakes
from gateway.cli.check.lookup import find_user
from gateway.cli.check.policy_tests import run_policy_tests
from gateway.cli.table import as_table
from gateway.clock import system_clock
from gateway.config import introspection
from gateway.config.loader import Loaded, read
from gateway.config.schema import Config, FactorName, Route, Rule
from gateway.engines.carrying import carrier_of
from gateway.errors import ConfigError
from gateway.request.target import CountryOf

UNSOUND = 2
_COLUMNS = ("host", "path", "upstream", "require")


@click.command()
@click.option("--config", "path", default="config.yaml", show_default=True, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Report for scripts.")
@click.option(
    "--live", is_flag=True, help="Also try what serve needs: address, folders, keys, stores, directory."
)
@click.option(
    "--tests",
    type=click.Path(path_type=Path),
    help="Policy tests to run; default is NAME.tests.yaml beside NAME.yaml, if there is one.",
)
@click.option(
    "--explain", "url", default="", metavar="URL", help="Say which rule decides about this URL, and why."
)
@click.option(
    "--user", default="", help="... for this user, as the directory has them; nobody is signed in without."
)
@click.option(
    "--groups", default="", help="... who is in these groups (comma-separated), and is not looked up."
)
@click.option("--amr", default="password,sms", show_default=True, help="... who has proven these factors.")
@click.option("--ip", default="127.0.0.1", show_default=True, help="... from this address.")
@click.option("--method", default="GET", show_default=True, help="... with this method.")
@click.option("--at", default="", help="... at this time (ISO 8601); default now.")
@click.option("--proven-at", default="", help="... with factors proven at this time; default --at.")
def check(path: Path, as_json: bool, live: bool, tests: Path | None, url: str, **supposed: str) -> None:
    """Check the configuration and its policy tests. Exit 0, or 2 with every mistake, its line and how to mend it."""
    try:
        loaded = read(path, os.environ)
        country_of = country_finder(loaded.config, Geo(loaded.config.risk.geoip_file))
        passed = 0 if url else _run_tests(path, tests, loaded, country_of)
        if live and (mistakes := live_mistakes(loaded.config, path)):
            raise ConfigError(mistakes)
    except ConfigError as error:
        _report_mistakes(error, as_json)
        raise click.exceptions.Exit(UNSOUND) from None
    if url:
        report = _explained(loaded.config, _supposed(url, supposed, system_clock()), country_of)
        click.echo(json.dumps(report, indent=2) if as_json else as_text(report))
        return
    if as_json:
        click.echo(json.dumps(_as_json(loaded, passed), indent=2))
        return
    click.echo(_summary(path, loaded, passed))
    if live:
        click.echo("\ntried what serve needs: nothing is in its way; apps were not asked")


def _explained(config: Config, supposed: Supposed, country_of: CountryOf) -> dict[str, Any]:
    """Groups that the options don't give are the user's own, as on the console's page."""
    if not supposed.user or supposed.groups:
        return answer(config, supposed, country_of)
    found = find_user(config, supposed.user)
    if found.problem:
        note = f"users can't be looked up ({found.problem}); say --groups, none are supposed"
        return {**answer(config, supposed, country_of), "note": note}
    if found.user is None or found.user.disabled:
        return unknown(supposed.user, disabled=found.user is not None)
    return answer(
        config, replace(supposed, groups=found.user.groups, attributes=found.user.attributes), country_of
    )


def _run_tests(path: Path, tests: Path | None, loaded: Loaded, country_of: CountryOf) -> int:
    """How many policy tests passed. Raises ConfigError with every one that did not."""
    beside = path.with_name(f"{path.stem}.tests.yaml")
    file = tests or (beside if beside.exists() else None)
    return 0 if file is None else run_policy_tests(loaded.config, file, system_clock(), country_of)


def _supposed(url: str, given: dict[str, str], now: float) -> Supposed:
    at = parse_time(given["at"], now)
    factors = _words(given["amr"])
    if unknown := set(factors) - set(get_args(FactorName)):
        raise click.BadParameter(f"there is no factor {', '.join(sorted(unknown))}", param_hint="--amr")
    try:
        ip = str(ip_address(given["ip"]))
    except ValueError:
        raise click.BadParameter(f"{given['ip']} is not an address", param_hint="--ip") from None
    proven = parse_time(given["proven_at"], at)
    return Supposed(
        url=url,
        user=given["user"],
        ip=ip,
        method=given["method"],
        groups=_words(given["groups"]),
        proven=dict.fromkeys(factors, proven),
        now=at,
    )


def _words(text: str) -> tuple[str, ...]:
    return tuple(filter(None, map(str.strip, text.split(","))))


def _report_mistakes(error: ConfigError, as_json: bool) -> None:
    if as_json:
        mistakes = [asdict(mistake) for mistake in error.mistakes]
        click.echo(json.dumps({"ok": False, "mistakes": mistakes}, indent=2))
        return
    count = len(error.mistakes)
    click.echo(str(error), err=True)
    click.echo(f"{count} mistake{'s' if count > 1 else ''}", err=True)


def _as_json(loaded: Loaded, passed: int) -> dict[str, Any]:
    config = loaded.config
    rows = [dict(zip(_columns(config), _row(config, route), strict=True)) for route in config.routes]
    warnings = [asdict(warning) for warning in loaded.warnings]
    return {"ok": True, "warnings": warnings, "routes": rows, "policy_tests": passed}


def _summary(path: Path, loaded: Loaded, passed: int) -> str:
    server = loaded.config.server
    lines = [f"{path} is sound. {server.public_url} on {', '.join(server.listens)}", ""]
    rows = as_table(
        [_columns(loaded.config), *(_row(loaded.config, route) for route in loaded.config.routes)]
    )
    lines.append(next(rows))
    for route, row in zip(loaded.config.routes, rows, strict=True):
        lines += [row, *_who_may(route)]
    if passed:
        lines += ["", f"{passed} policy test{'s' if passed > 1 else ''} passed"]
    lines += ["", *(f"warning: {warning}" for warning in loaded.warnings)]
    if not loaded.config.routes:
        lines.append("warning: there are no routes, so everything is 404")
    return "\n".join(lines).rstrip()


def _columns(config: Config) -> tuple[str, ...]:
    return _COLUMNS if config.server.engine == "embedded" else (*_COLUMNS, "carried_by", "why")


def _row(config: Config, route: Route) -> tuple[str, ...]:
    row = (route.host, route.path, _serves(route), _required(route))
    if config.server.engine == "embedded":
        return row
    carrier = carrier_of(config, route)
    return (*row, carrier.name, carrier.why)


def _serves(route: Route) -> str:
    if route.redirect is not None:
        return f"redirect to {route.redirect.to}"
    return f"respond {route.respond.status}" if route.respond is not None else ", ".join(route.upstreams)


def _required(route: Route) -> str:
    return f"{len(route.rules)} rules" if route.rules else route.policy.require


def _who_may(route: Route) -> Iterator[str]:
    """What the row of a route can't say: the rules in the order in which they are asked, or the policy's conditions."""
    for number, (rule, keys) in enumerate(route.asked, 1):
        conditions = [_condition(rule, key) for key in Rule.model_fields if key in keys - {"require", "name"}]
        if route.rules or route.access[1:] or conditions:
            yield f"    {number}. {'; '.join([rule.require, *conditions])}"


def _condition(rule: Rule, key: str) -> str:
    value, word = getattr(rule, key), key.replace("_", " ")
    if value is True:
        return word
    if isinstance(value, tuple) and not any(isinstance(item, dict) for item in value):
        return f"{word} {', '.join(map(str, value))}"
    if isinstance(value, float):
        return f"{word} {introspection.show(introspection.annotated(Rule.model_fields[key]), value)}"
    written = rule.model_dump(mode="json", include={key}, exclude_unset=True)[key]
    return f"{word} {json.dumps(written, ensure_ascii=False)}"
