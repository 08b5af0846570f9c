"""`auth-gateway key rotate`: a new key in front of the ring. Nobody is signed out."""

from pathlib import Path

import click

from gateway.cli.context import Opened, config_option, run
from gateway.oidc.signing_keys import SigningKeys, keys_path, longest_life


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

    Where there are clients of the OpenID provider, a new key to sign tokens is published too. It signs after
    oidc.announce; the old one stays published until what it signed has expired.

    Sessions and remembered devices that were sealed with a dropped key end, and API tokens that were not used
    since: rotate less often than remember_device divided by the keys kept.
    """

    async def work(opened: Opened) -> tuple[str, int, bool]:
        # Enrolled factors live for years. Sealing them with the newest key first means that no rotation, which
        # always keeps the key before the new one, can lock one away.
        resealed = await opened.credentials.reseal()
        await opened.spent.reseal()
        fresh = opened.keys.rotate(opened.clock(), keep)
        await opened.record("key_rotated", key=fresh.id)
        return fresh.id, resealed, _rotate_tokens(opened)

    id, resealed, has_tokens = run(config_file, work)
    click.echo(f"new key {id}; sealed {resealed} enrolled factors again")
    if has_tokens:
        click.echo("new key for tokens is published and signs after oidc.announce")


def _rotate_tokens(opened: Opened) -> bool:
    """The keys that sign tokens, where any app gets some."""
    config = opened.config
    if not config.oidc.clients:
        return False
    keys = SigningKeys(keys_path(config), opened.clock, announce=config.oidc.announce)
    keys.rotate(longest_life(config))
    return True
