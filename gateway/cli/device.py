"""`auth-gateway device …`: browsers that skip the second factor, and ending that."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click

from gateway.cli.context import Opened, config_option, json_option, moment, print_json, run
from gateway.config.names import user_name
from gateway.errors import GatewayError
from gateway.stores.protocols.core import Device


@click.group()
def device() -> None:
    """List and revoke remembered devices."""


@device.command("list")
@click.option("--user", "username", help="Only this user's.")
@json_option
@config_option
def list_devices(username: str | None, as_json: bool, config_file: Path) -> None:
    """List the remembered devices, oldest first."""

    async def work(opened: Opened) -> Sequence[Device]:
        return await opened.devices.list(None if username is None else user_name(username))

    found = run(config_file, work)
    if as_json:
        print_json([asdict(one) for one in found])
        return
    if not found:
        click.echo("no remembered devices", err=True)
    for one in found:
        used = moment(one.last_used_at)
        click.echo("\t".join((one.id[:16], one.username, one.ip, used, one.user_agent)))


@device.command()
@click.argument("id", required=False)
@click.option("--user", "username", help="All devices of this user.")
@config_option
def revoke(id: str | None, username: str | None, config_file: Path) -> None:
    """Forget one device (the start of its ID will do) or all of a user."""
    if (id is None) == (username is None):
        raise click.UsageError("Name one of: a device, --user NAME.")

    async def work(opened: Opened) -> int:
        if id is not None:
            return await _revoke_one(opened, id)
        return await _revoke_user(opened, user_name(username or ""))

    count = run(config_file, work)
    click.echo(f"revoked {count} device{'' if count == 1 else 's'}")


async def _revoke_one(opened: Opened, id: str) -> int:
    found = [one for one in await opened.devices.list() if len(id) >= 8 and one.id.startswith(id)]
    if len(found) != 1 or not await opened.devices.remove(found[0].username, found[0].id):
        raise GatewayError("there is no such device")
    await opened.record("device_revoked", found[0].username, device=found[0].id[:8])
    return 1


async def _revoke_user(opened: Opened, username: str) -> int:
    count = await opened.devices.remove_for_user(username)
    if count:
        await opened.record("device_revoked", username, count=count)
    return count
