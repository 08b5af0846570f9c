"""`auth-gateway user invite`: adds a person without a password and mails a link that works once."""

import sys
from dataclasses import replace
from pathlib import Path

import click

from gateway.authn.invitations import Invitations, letter
from gateway.cli.context import Opened, config_option, run
from gateway.errors import GatewayError, UserExists
from gateway.i18n.catalogues import language
from gateway.messaging.senders.build import build_email
from gateway.model import User


@click.command()
@click.argument("username")
@click.option("--name", default="", help="The full name.")
@click.option("--email", default="", help="Where the link is mailed to.")
@click.option("--phone", default="", help="The number for codes, like +4915112345678.")
@click.option("--group", "groups", multiple=True, help="A group; repeat for more.")
@click.option("--print", "show", is_flag=True, help="Print the link instead of mailing it.")
@config_option
def invite(
    username: str, name: str, email: str, phone: str, groups: tuple[str, ...], show: bool, config_file: Path
) -> None:
    """Invite a person: they choose a password and add a second factor by a link that works once, for 72 hours.

    Inviting somebody again who has not come yet sends a new link; the one before it ends. Who is a user already and has
    no password, after an import for instance, is invited by name alone: the link goes to the known address.
    """
    wanted = User(username, name=name, email=email, phone=phone, groups=groups)

    async def work(opened: Opened) -> str:
        found = await opened.directory.get(wanted.username)
        address = email or (found.email if found else "")
        if not address and not show:
            raise click.UsageError("Give --email, or --print to hand over the link yourself.")
        link = await _link(opened, replace(wanted, email=address))
        if show:
            return link
        await _mail(opened, address, link)
        return f"invited {username} by mail to {address}"

    click.echo(run(config_file, work))


async def _link(opened: Opened, wanted: User) -> str:
    server = opened.config.server
    base = server.pages_url
    invitations = Invitations(opened.directory, opened.state.ledger, opened.clock, base=base)
    try:
        link = await invitations.invite(wanted)
    except UserExists:
        found = await opened.directory.get(wanted.username)
        if found is None or found.password_hash or found.email != wanted.email:
            raise
        link = await invitations.link(found.username)
    await opened.record("user_invited", wanted.username)
    return link


async def _mail(opened: Opened, to: str, link: str) -> None:
    sender, spoken = build_email(opened.config.email, sys.stdout), language(opened.config.branding.language)
    try:
        subject, text = map(spoken.text, letter(opened.config.branding.name, link))
        await sender.send(to, subject, text)
    except GatewayError as error:
        raise GatewayError(
            f"the user is added, but the mail could not be sent ({error.detail}); invite again"
        ) from error
    finally:
        await sender.close()
