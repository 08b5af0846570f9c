"""`auth-gateway session …`: who is signed in, and ending it. Running gateways hear of it within two seconds."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click

from gateway.cli.context import Opened, config_option, json_option, moment, print_json, run
from gateway.config.names import user_name
from gateway.errors import GatewayError
from gateway.model import SessionRecord


@click.group()
def session() -> None:
    """List and revoke sessions."""


@session.command("list")
@click.option("--user", "username", help="Only this user's.")
@json_option
@config_option
def list_sessions(username: str | None, as_json: bool, config_file: Path) -> None:
    """List the sessions, oldest first."""

    async def work(opened: Opened) -> Sequence[SessionRecord]:
        return await opened.sessions.list(None if username is None else user_name(username))

    records = run(config_file, work)
    if as_json:
        print_json([asdict(record) for record in records])
        return
    if not records:
        click.echo("no sessions", err=True)
    for record in records:
        seen = moment(record.last_seen)
        click.echo("\t".join((record.sid, record.username, "+".join(record.amr), record.ip, seen)))


@session.command()
@click.argument("sid", required=False)
@click.option("--user", "username", help="All sessions of this user.")
@click.option("--all", "everyone", is_flag=True, help="All sessions of everyone.")
@config_option
def revoke(sid: str | None, username: str | None, everyone: bool, config_file: Path) -> None:
    """End a session, those of a user, or all."""
    if (sid is not None) + (username is not None) + everyone != 1:
        raise click.UsageError("Name one of: a session, --user NAME, --all.")

    async def work(opened: Opened) -> int:
        if sid is not None:
            return await _revoke_one(opened, sid)
        if username is not None:
            return await _revoke_user(opened, user_name(username))
        return sum([await _revoke_user(opened, name) for name in await _everyone(opened)])

    count = run(config_file, work)
    click.echo(f"revoked {count} session{'' if count == 1 else 's'}")


async def _revoke_one(opened: Opened, sid: str) -> int:
    record = await opened.sessions.get(sid)
    if record is None or not await opened.sessions.delete(sid):
        raise GatewayError("there is no such session")
    await opened.record("session_revoked", record.username, count=1)
    return 1


async def _revoke_user(opened: Opened, username: str) -> int:
    count = await opened.sessions.delete_for_user(username)
    if count:
        await opened.record("session_revoked", username, count=count)
    return count


async def _everyone(opened: Opened) -> list[str]:
    return sorted({record.username for record in await opened.sessions.list()})
