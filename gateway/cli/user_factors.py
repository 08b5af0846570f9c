"""`auth-gateway user reset-factors`: what the console's "Reset all" does, for the shell."""

from dataclasses import replace
from pathlib import Path

import click

from gateway.cli.opening import Opened, config_option, run
from gateway.config.schema import DirectoryDatabase
from gateway.errors import GatewayError, UserUnknown
from gateway.factors.bypass import Bypasses
from gateway.factors.phones import SECOND_PHONE
from gateway.model import User

HELD = ("totp", "webauthn", "recovery", SECOND_PHONE)
"""Kinds that are credentials of ours, whatever the directory is."""
KINDS = (*HELD, "sms", "bypass")


@click.command("reset-factors")
@click.argument("username")
@click.option("--only", type=click.Choice(KINDS), multiple=True, help="Take away this kind; repeat for more.")
@click.option("--yes", is_flag=True, help="Don't ask.")
@config_option
def reset_factors(username: str, only: tuple[str, ...], yes: bool, config_file: Path) -> None:
    """Take a user's second factors away: lost or stolen phones, keys and codes.

    All but the mail address go, the phone number too where users are kept here. Whoever lost a factor may have lost
    it to somebody: sessions and remembered devices end. The next sign-in asks to add a factor (enrolment).
    """
    wanted = only or KINDS

    async def work(opened: Opened) -> str:
        user = await opened.people.get(username)
        if user is None:
            raise UserUnknown(f"there is no user {username}; `auth-gateway user list` shows who there is")
        if not yes:
            question = f"Take {', '.join(wanted)} of {user.username} away and end the sessions?"
            click.confirm(question, abort=True, err=True)
        gone = await _take(opened, user, wanted)
        if not gone:
            raise GatewayError(f"{user.username} has none of these: {', '.join(wanted)}")
        await opened.devices.remove_for_user(user.username)
        await opened.sessions.delete_for_user(user.username)
        await opened.record("factors_reset", user.username, factors=gone)
        return f"took away from {user.username}: {', '.join(gone)}"

    click.echo(run(config_file, work))


async def _take(opened: Opened, user: User, wanted: tuple[str, ...]) -> list[str]:
    """The kinds of which there was something to take."""
    gone = set()
    for one in await opened.credentials.list(user.username):
        if one.kind in HELD and one.kind in wanted:
            await opened.credentials.remove(user.username, one.id)
            gone.add(one.kind)
    if "sms" in wanted and user.phone and isinstance(opened.config.directory, DirectoryDatabase):
        await opened.directory.replace(replace(user, phone=""))
        gone.add("sms")
    if "bypass" in wanted:
        bypasses = Bypasses(opened.state.ledger, lambda: opened.keys.derive_all(b"bypass"))
        try:
            gone |= {"bypass"} if await bypasses.revoke(user.username) else set()
        finally:
            await opened.state.close()
    return sorted(gone)
