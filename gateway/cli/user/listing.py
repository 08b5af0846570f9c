"""`auth-gateway user list`: who is there, as a table or as JSON."""

from dataclasses import asdict
from pathlib import Path

import click

from gateway.cli.context import Opened, config_option, json_option, print_json, run
from gateway.cli.table import as_table
from gateway.directory.base import every
from gateway.model import User

_HEADINGS = ("USERNAME", "NAME", "E-MAIL", "PHONE", "GROUPS", "STATE")


@click.command("list")
@click.argument("search", default="")
@click.option("--group", help="Only members of this group.")
@click.option("--disabled/--enabled", "disabled", default=None, help="Only who may not sign in, or who may.")
@json_option
@config_option
def list_users(
    search: str, group: str | None, disabled: bool | None, as_json: bool, config_file: Path
) -> None:
    """List users. SEARCH looks in usernames, names, e-mail addresses and groups."""

    async def work(opened: Opened) -> list[User]:
        found = [one async for page in every(opened.people, search) for one in page]
        return sorted(found, key=lambda one: one.username)

    users = [
        one
        for one in run(config_file, work)
        if (group is None or group in one.groups) and disabled in (None, one.disabled)
    ]
    if as_json:
        print_json([public(one) for one in users])
    elif not users:
        click.echo("no users", err=True)
    else:
        click.echo("\n".join(as_table([_HEADINGS, *map(_row, users)])))


def public(one: User) -> dict[str, object]:
    """The user for people and scripts: whether there is a password, never its hash."""
    facts = asdict(one)
    facts["attributes"] = {name: list(values) for name, values in one.attributes}
    facts["has_password"] = bool(facts.pop("password_hash"))
    return facts


def _row(one: User) -> tuple[str, ...]:
    state = "disabled" if one.disabled else "" if one.password_hash else "no password"
    return (one.username, one.name, one.email, one.phone, ",".join(one.groups), state)
