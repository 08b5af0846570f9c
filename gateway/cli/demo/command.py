"""`auth-gateway demo`: see it work before anything is configured."""

import sys
from pathlib import Path

import click

from gateway.errors import GatewayError


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="Loopback port.")
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("var/demo"),
    show_default=True,
    help="Where its database and keys live.",
)
def demo(port: int, folder: Path) -> None:
    """Protect a small app with a made-up user. SMS codes appear on this terminal."""
    from gateway.cli.demo.run import run_demo

    try:
        run_demo(port, folder)
    except GatewayError as error:
        click.echo(f"auth-gateway: {error}", err=True)
        if "already listens" in str(error):
            click.echo(f"Try another port: make run PORT={port + 1}", err=True)
        sys.exit(1)
