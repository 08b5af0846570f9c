"""`auth-gateway oidc …`: what an administrator of the OpenID provider needs beside the configuration."""

import secrets

import click

from gateway.oidc.clients import secret_hash


@click.group()
def oidc() -> None:
    """Look after apps that sign their users in through the gateway."""


@oidc.command()
def secret() -> None:
    """Make a client secret. The app gets the secret, the configuration its hash. It can't be shown again."""
    made = secrets.token_urlsafe(32)
    click.echo(f"secret (for the app):            {made}")
    click.echo(f"hash (oidc.clients[].secrets):   {secret_hash(made)}")
