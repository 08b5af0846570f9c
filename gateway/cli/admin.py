"""`auth-gateway admin export`: users and groups as the YAML that `user import` and the file directory read."""

from pathlib import Path

import click

from gateway.admin.exports import users_yaml
from gateway.cli.context import Opened, config_option, run


@click.group()
def admin() -> None:
    """What the admin console does, for the shell."""


@admin.command("export")
@click.option("--no-passwords", is_flag=True, help="Leave the password hashes out.")
@config_option
def export_users(no_passwords: bool, config_file: Path) -> None:
    """Print all users as YAML, with their password hashes: keep the file as safe as the database."""

    async def work(opened: Opened) -> None:
        await opened.record("users_exported", passwords=not no_passwords)
        async for page in users_yaml(opened.people, passwords=not no_passwords):
            click.echo(page, nl=False)

    run(config_file, work)
