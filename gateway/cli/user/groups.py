"""`auth-gateway user add-group` and `remove-group`: one group more or less, the others stay."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import click

from gateway.cli.context import Opened, config_option, run

_username = click.argument("username")
_groups = click.argument("groups", nargs=-1, required=True, metavar="GROUP...")


@click.command("add-group")
@_username
@_groups
@config_option
def add_group(username: str, groups: tuple[str, ...], config_file: Path) -> None:
    """Put a user into GROUP, too."""
    _change(config_file, username, lambda before: (*before, *(one for one in groups if one not in before)))


@click.command("remove-group")
@_username
@_groups
@config_option
def remove_group(username: str, groups: tuple[str, ...], config_file: Path) -> None:
    """Take a user out of GROUP."""
    _change(config_file, username, lambda before: tuple(one for one in before if one not in groups))


def _change(config_file: Path, username: str, after: Callable[[tuple[str, ...]], tuple[str, ...]]) -> None:
    async def work(opened: Opened) -> tuple[str, tuple[str, ...], bool]:
        found = await opened.user(username)
        groups = tuple(dict.fromkeys(after(found.groups)))
        if groups == found.groups:
            return found.username, groups, False
        await opened.directory.replace(replace(found, groups=groups))
        await opened.record("user_changed", found.username, fields=["groups"])
        return found.username, groups, True

    name, groups, changed = run(config_file, work)
    click.echo(f"{'changed' if changed else 'unchanged'} {name}: {', '.join(groups) or 'no groups'}")
