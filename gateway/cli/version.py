"""`auth-gateway version`."""

import json
import platform

import click

from gateway import __version__


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def version(as_json: bool) -> None:
    """Print the version."""
    if as_json:
        click.echo(json.dumps({"version": __version__, "python": platform.python_version()}))
    else:
        click.echo(f"auth-gateway {__version__} (Python {platform.python_version()})")
