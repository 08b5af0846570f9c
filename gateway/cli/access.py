"""`auth-gateway access …`: requests for groups, and the groups that are lent."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import click

from gateway.cli.context import Opened, config_option, json_option, moment, print_json, run
from gateway.config.units import parse_duration
from gateway.errors import GatewayError
from gateway.portal.access_requests.requests import PAST
from gateway.stores.protocols.core import AccessAsked

_STATES = {"grant": ("asked", "granted"), "refuse": ("asked", "refused"), "end": ("granted", "ended")}


@click.group()
def access() -> None:
    """Decide about access requests, and end what was granted."""


@access.command("list")
@json_option
@config_option
def list_requests(as_json: bool, config_file: Path) -> None:
    """List open requests and running grants, newest first."""

    async def work(opened: Opened) -> Sequence[AccessAsked]:
        return await opened.access_requests.list(opened.clock())

    found = run(config_file, work)
    if as_json:
        print_json([asdict(one) for one in found])
        return
    if not found:
        click.echo("no requests", err=True)
    for one in found:
        until = moment(one.expires_at)
        click.echo(
            "\t".join((one.id, one.state, one.username, one.group, f"until {until}", one.page, one.why))
        )


@access.command()
@click.argument("id")
@click.option("--for", "span", default="8h", show_default=True, help='How long, such as "4h".')
@config_option
def grant(id: str, span: str, config_file: Path) -> None:
    """Lend the group that request ID asks for; at most as long as the configuration allows."""
    try:
        seconds = float(str(parse_duration(span)))
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--for") from None
    click.echo(run(config_file, _settle(id, "grant", seconds)))


@access.command()
@click.argument("id")
@config_option
def refuse(id: str, config_file: Path) -> None:
    """Refuse request ID."""
    click.echo(run(config_file, _settle(id, "refuse")))


@access.command()
@click.argument("id")
@config_option
def end(id: str, config_file: Path) -> None:
    """End the grant ID now."""
    click.echo(run(config_file, _settle(id, "end")))


def _settle(id: str, what: str, seconds: float = 0.0) -> Callable[[Opened], Awaitable[str]]:
    async def work(opened: Opened) -> str:
        asked = await opened.access_requests.get(id)
        if asked is None:
            raise GatewayError("there is no such request")
        now, (before, after) = opened.clock(), _STATES[what]
        until = now + min(seconds, _longest(opened, asked.group)) if what == "grant" else now
        if not await opened.access_requests.decide(id, before, after, "command line", now, until):
            raise GatewayError(f"the request is not {before} (any more)")
        await opened.record(f"access_{PAST[what]}", asked.username, group=asked.group, request=id)
        return f"{PAST[what]} {asked.username} {asked.group}"

    return work


def _longest(opened: Opened, group: str) -> float:
    for offered in opened.config.access_requests:
        if offered.group == group:
            return offered.longest
    raise GatewayError(f"access_requests no longer offers the group {group}")
