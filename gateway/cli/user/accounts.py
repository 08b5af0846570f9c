"""`auth-gateway user accounts|unlink`: a user's accounts at identity providers."""

from pathlib import Path

import click

from gateway.cli.context import Opened, config_option, json_option, print_json, run
from gateway.config.names import user_name
from gateway.errors import GatewayError


@click.command()
@click.argument("username")
@json_option
@config_option
def accounts(username: str, as_json: bool, config_file: Path) -> None:
    """List the identity providers through which a user can sign in."""

    async def work(opened: Opened) -> list[str]:
        return await opened.federated.of(user_name(username))

    found = run(config_file, work)
    if as_json:
        print_json(found)
    else:
        click.echo("\n".join(found) or "none")


@click.command()
@click.argument("username")
@click.argument("provider")
@config_option
def unlink(username: str, provider: str, config_file: Path) -> None:
    """Forget a user's account at a provider; the next sign-in there is matched anew. Ends the user's sessions."""

    async def work(opened: Opened) -> None:
        name = user_name(username)
        if not await opened.federated.unlink(provider, name):
            raise GatewayError(f"{name} has no account at {provider}")
        await opened.sessions.delete_for_user(name)
        await opened.record("account_unlinked", name, provider=provider)

    run(config_file, work)
    click.echo(f"unlinked {user_name(username)} from {provider}")
