"""`auth-gateway registration …`: people who ask for an account, and deciding about them."""

import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import click

from gateway.authn.invitations import Invitations
from gateway.authn.registration_decisions import DecidedRegistration, RegistrationDecisions
from gateway.cli.context import Opened, config_option, json_option, moment, print_json, run
from gateway.errors import GatewayError
from gateway.i18n.catalogues import language
from gateway.messaging.notices import letter_html
from gateway.messaging.senders.build import build_email
from gateway.stores.protocols.registrations import Registration
from gateway.stores.sql.registrations import SqlRegistrations

_BY = "command line"


@click.group()
def registration() -> None:
    """Decide about people who ask for an account (docs/registration.md)."""


@registration.command("list")
@json_option
@config_option
def list_waiting(as_json: bool, config_file: Path) -> None:
    """List who waits, the oldest first."""

    async def work(opened: Opened) -> Sequence[Registration]:
        return await _decisions(opened).waiting()

    found = run(config_file, work)
    if as_json:
        print_json([asdict(one) for one in found])
        return
    if not found:
        click.echo("nobody waits", err=True)
    for one in found:
        click.echo(
            "\t".join((one.id, one.address, one.name, one.phone or "-", f"since {moment(one.asked_at)}"))
        )


@registration.command()
@click.argument("id")
@config_option
def approve(id: str, config_file: Path) -> None:
    """Add the user of request ID, and mail an invitation to choose a password."""
    click.echo(run(config_file, _settle(lambda decisions: decisions.approve(id, _BY))))


@registration.command()
@click.argument("id")
@config_option
def refuse(id: str, config_file: Path) -> None:
    """Refuse request ID, and tell who asked. The address can't ask again for 30 days."""
    click.echo(run(config_file, _settle(lambda decisions: decisions.refuse(id, _BY))))


def _decisions(opened: Opened) -> RegistrationDecisions:
    config = opened.config
    invitations = Invitations(
        opened.directory, opened.state.ledger, opened.clock, base=config.server.pages_url
    )
    return RegistrationDecisions(
        SqlRegistrations(opened.engine),
        invitations,
        opened.clock,
        groups=config.registration.groups,
        brand=config.branding.name,
    )


def _settle(
    act: Callable[[RegistrationDecisions], Awaitable[DecidedRegistration]],
) -> Callable[[Opened], Awaitable[str]]:
    async def work(opened: Opened) -> str:
        decision = await act(_decisions(opened))
        await opened.record(f"registration_{decision.what}", decision.asked.address)
        await _mail(opened, decision)
        return f"{decision.what} {decision.asked.address}"

    return work


async def _mail(opened: Opened, decision: DecidedRegistration) -> None:
    asked, sender = decision.asked, build_email(opened.config.email, sys.stdout)
    say = language(asked.lang).text
    try:
        text = say(decision.text)
        await sender.send(asked.address, say(decision.subject), text, letter_html(text))
    except GatewayError as error:
        again = "; `auth-gateway user invite` mails a new link" if decision.what == "approved" else ""
        raise GatewayError(
            f"{asked.address} is {decision.what}, but the mail could not be sent ({error.detail}){again}"
        ) from error
    finally:
        await sender.close()
