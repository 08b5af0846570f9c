"""`auth-gateway key rotate`: a new key in front of the ring. Nobody is signed out."""

from pathlib import Path

import click

from gateway.cli.opening import Opened, config_option, run


@click.group()
def key() -> None:
    """Look after the key ring."""


@key.command()
@click.option(
    "--keep", type=click.IntRange(min=2), default=3, show_default=True, help="Keys that stay in the ring."
)
@config_option
def rotate(keep: int, config_file: Path) -> None:
    """Add a new key and drop the oldest; running gateways follow within two seconds.

    Sessions and remembered devices that were sealed with a dropped key end: rotate less often than
    remember_device divided by the keys kept.
    """

    async def work(opened: Opened) -> tuple[str, int]:
        # Enrolled factors live for years. Sealing them with the newest key first means that no rotation, which
        # always keeps the key before the new one, can lock one away.
        resealed = await opened.credentials.reseal()
        fresh = opened.keys.rotate(opened.clock(), keep)
        await opened.record("key_rotated", key=fresh.id)
        return fresh.id, resealed

    id, resealed = run(config_file, work)
    click.echo(f"new key {id}; sealed {resealed} enrolled factors again")
