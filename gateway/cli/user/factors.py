"""`auth-gateway user reset-factors`: what the console's "Reset all" does, for the shell."""

from collections.abc import Iterable
from pathlib import Path

import click

from gateway.authn.factors.bypass import Bypasses
from gateway.authn.factors.removal import KINDS, FactorRemoval
from gateway.cli.context import Opened, config_option, run
from gateway.config.schema import DirectoryDatabase
from gateway.errors import GatewayError
from gateway.model import User
from gateway.stores.sql.tokens import SqlTokens


@click.command("reset-factors")
@click.argument("username")
@click.option("--only", type=click.Choice(KINDS), multiple=True, help="Take away this kind; repeat for more.")
@click.option("--yes", is_flag=True, help="Don't ask.")
@config_option
def reset_factors(username: str, only: tuple[str, ...], yes: bool, config_file: Path) -> None:
    """Take a user's second factors away: lost or stolen phones, keys and codes.

    All but the mail address go, the phone number too where users are kept here. Whoever lost a factor may have lost
    it to somebody: sessions, remembered devices and the user's own tokens end. The next sign-in asks to add a factor
    (enrolment).
    """
    wanted = only or KINDS

    async def work(opened: Opened) -> str:
        user = await opened.user(username)
        if not yes:
            question = f"Take {', '.join(wanted)} of {user.username} away and end the sessions?"
            click.confirm(question, abort=True, err=True)
        gone = await reset(opened, user, wanted)
        if not gone:
            raise GatewayError(f"{user.username} has none of these: {', '.join(wanted)}")
        return f"took away from {user.username}: {', '.join(gone)}"

    click.echo(run(config_file, work))


async def reset(opened: Opened, user: User, wanted: Iterable[str]) -> list[str]:
    """Take these kinds away, end what they vouched for, and note it; returns of which there was something."""
    database = isinstance(opened.config.directory, DirectoryDatabase)
    bypasses = Bypasses(opened.state.ledger, list)  # to revoke; none is made
    taking = FactorRemoval(opened.credentials, bypasses, opened.directory if database else None)
    gone = sorted([kind for kind in wanted if await taking.take(user, kind)])
    if gone:
        await opened.devices.remove_for_user(user.username)
        await opened.sessions.delete_for_user(user.username)
        await SqlTokens(opened.engine).revoke_owned(user.username, opened.clock())
        await opened.record("factors_reset", user.username, factors=gone)
    return gone
