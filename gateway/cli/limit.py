"""`auth-gateway limit …`: users and addresses that have to wait now, and lifting it for one of them."""

from collections.abc import Sequence
from pathlib import Path

import click

from gateway.authn.lockouts import Lockout
from gateway.cli.context import Opened, config_option, json_option, moment, print_json, run
from gateway.cli.user.unlock import as_facts, print_lifted
from gateway.errors import GatewayError


@click.group()
def limit() -> None:
    """See and lift what too many attempts have blocked."""


@limit.command("list")
@json_option
@config_option
def list_blocked(as_json: bool, config_file: Path) -> None:
    """List users and addresses at their limit, the longest waits first."""

    blocked = run(config_file, lambda opened: opened.blocks.now())
    if as_json:
        print_json([as_facts(one) for one in blocked])
        return
    for one in blocked:
        click.echo("\t".join((one.about, one.name, str(one.what), f"until {moment(one.ends_at)}")))
    if not blocked:
        click.echo("nothing is blocked", err=True)


@limit.command()
@click.argument("name", metavar="ADDRESS|NAME")
@json_option
@config_option
def lift(name: str, as_json: bool, config_file: Path) -> None:
    """Lift it for an address (its /64 if it is IPv6), a user, or another name of the list."""

    async def work(opened: Opened) -> Sequence[Lockout]:
        lifted = await opened.blocks.lift(name)
        if not lifted:
            raise GatewayError("nothing of that name is blocked; see `auth-gateway limit list`")
        await opened.record(
            "unlocked", lifted[0].username, of=lifted[0].name, budgets=[one.budget for one in lifted]
        )
        return lifted

    print_lifted(run(config_file, work), as_json)
