"""`auth-gateway user unlock`: lifts what too many attempts have locked, and what `user show` says of it."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

import click

from gateway.authn.lockouts import Lockout
from gateway.cli.context import Opened, config_option, json_option, moment, print_json, run


@click.command()
@click.argument("username")
@json_option
@config_option
def unlock(username: str, as_json: bool, config_file: Path) -> None:
    """Lift every lock and limit of a user, also those of the own number and mail address.

    Make sure that the user, not somebody else, made the attempts: `auth-gateway audit tail --user NAME`.
    """

    async def work(opened: Opened) -> Sequence[Lockout]:
        user = await opened.user(username)
        lifted = await opened.blocks.unlock(user)
        await opened.record("unlocked", user.username, budgets=[one.budget for one in lifted])
        return lifted

    print_lifted(run(config_file, work), as_json)


def print_lifted(lifted: Sequence[Lockout], as_json: bool) -> None:
    """Print what was lifted."""
    if as_json:
        print_json([as_facts(one) for one in lifted])
        return
    for one in lifted:
        click.echo(f"lifted: {one.name}: {one.what} ({one.count} of {one.limit})")
    if not lifted:
        click.echo("there was nothing to lift")


def sentences(username: str, waits: Iterable[Lockout]) -> list[str]:
    """Return a sentence for each wait of a user, with the way to end it."""
    return [
        f"{one.what}, after {one.count} failures; `auth-gateway user unlock {username}`"
        if one.is_lock
        else f"{one.what}: {one.count} of {one.limit}, waits until {moment(one.ends_at)}"
        for one in waits
    ]


def as_facts(one: Lockout) -> dict[str, object]:
    return asdict(one) | {"what": str(one.what), "lock": one.is_lock}
