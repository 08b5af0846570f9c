"""`auth-gateway user bypass`: a one-time code for somebody who has lost every second factor."""

import sys
from pathlib import Path

import click

from gateway.authn.factors.bypass import Bypasses
from gateway.cli.context import Opened, config_option, run
from gateway.config.units import parse_duration
from gateway.errors import GatewayError
from gateway.i18n.catalogues import language
from gateway.i18n.text import N_, Text
from gateway.messaging.senders.build import build_email
from gateway.model import User

LONGEST = 86400.0


@click.command()
@click.argument("username")
@click.option("--for", "span", default="15m", show_default=True, help="How long it is good; a day at most.")
@click.option("--revoke", is_flag=True, help="Void the code that is out instead.")
@config_option
def bypass(username: str, span: str, revoke: bool, config_file: Path) -> None:
    """Print a code that stands for a second factor, once. The password is still asked for.

    Make sure who is asking, and tell it by voice. A new code voids the one before. The user is told by mail.
    """
    lifetime = _seconds(span)

    async def work(opened: Opened) -> str:
        user = await opened.user(username)
        bypasses = Bypasses(opened.state.ledger, lambda: opened.keys.derive_all(b"bypass"))
        return await (_revoke(opened, bypasses, user) if revoke else _issue(opened, bypasses, user))

    async def _issue(opened: Opened, bypasses: Bypasses, user: User) -> str:
        code = await bypasses.issue(user.username, lifetime)
        await opened.record("bypass_issued", user.username, seconds=int(lifetime))
        await _tell(opened, user)
        return code

    click.echo(run(config_file, work))


async def _revoke(opened: Opened, bypasses: Bypasses, user: User) -> str:
    if not await bypasses.revoke(user.username):
        raise GatewayError(f"no code for {user.username} is out")
    await opened.record("bypass_revoked", user.username)
    return f"revoked the code of {user.username}"


async def _tell(opened: Opened, user: User) -> None:
    """By mail, so that a code made behind the user's back is noticed. The code is worth having without it."""
    brand, email = opened.config.branding.name, opened.config.email
    if not user.email or email.provider == "console":  # the terminal is the operator's own
        return
    sender, spoken = build_email(email, sys.stderr), language(opened.config.branding.language)
    try:
        await sender.send(user.email, *map(spoken.text, letter(brand)))
    except GatewayError as error:
        click.echo(f"auth-gateway: the user could not be told by mail ({error.detail})", err=True)
    finally:
        await sender.close()


def letter(brand: str) -> tuple[Text, Text]:
    """Subject and text."""
    return N_("%(brand)s: a one-time code was made for you", brand=brand), N_(
        "An administrator made a one-time code for your account at %(brand)s. "
        "It stands for your second factor, once.\n\n"
        "If you asked for it, there is nothing to do. If not, tell your administrator at once.\n",
        brand=brand,
    )


def _seconds(span: str) -> float:
    try:
        seconds = float(str(parse_duration(span)))
    except ValueError as error:
        raise click.UsageError(f"--for: {error}") from None
    if not 60 <= seconds <= LONGEST:
        raise click.UsageError("--for: between one minute and one day")
    return seconds
