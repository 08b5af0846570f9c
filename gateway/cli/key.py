"""`auth-gateway key`: what is in the ring, a new key in front of it, and what to do when it is lost."""

from pathlib import Path

import click

from gateway.cli.context import Opened, config_option, json_option, moment, print_json, run
from gateway.errors import GatewayError
from gateway.keyring import KeyRing
from gateway.oidc.signing_keys import SigningKeys, keys_path, longest_life
from gateway.server.first_start import open_signing_keys
from gateway.stores.sql.key_names import claim_keys, known_keys, replace_keys


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
        tokens = await _token_keys(opened)  # before anything is changed: it may refuse
        fresh = opened.keys.rotate(opened.clock(), keep)
        await claim_keys(opened.engine, _path(opened), [key.id for key in opened.keys.keys])
        await opened.record("key_rotated", key=fresh.id)
        if tokens is not None:
            tokens.rotate(longest_life(opened.config))
        return fresh.id, resealed, tokens is not None

    id, resealed, has_tokens = run(config_file, work)
    click.echo(f"new key {id}; sealed {resealed} enrolled factors again")
    if has_tokens:
        click.echo("new key for tokens is published and signs after oidc.announce")


@key.command("list")
@json_option
@config_option
def list_(as_json: bool, config_file: Path) -> None:
    """Show the keys of the ring, newest first, and whether they are those that the database knows."""

    async def work(opened: Opened) -> tuple[Path, list[dict[str, object]], bool]:
        known = await known_keys(opened.engine)
        ring = KeyRing(_path(opened), opened.clock)
        rows: list[dict[str, object]] = [
            {"id": one.id, "created_at": one.created_at, "use": "open and verify" if number else "all"}
            for number, one in enumerate(ring.keys)
        ]
        return _path(opened), rows, not known or bool(set(known) & {one.id for one in ring.keys})

    path, rows, ours = run(config_file, work)
    if as_json:
        print_json({"file": str(path), "known_to_database": ours, "keys": rows})
        return
    click.echo(f"{path}{'' if ours else ': NOT the ring that the database knows'}")
    for row in rows:
        click.echo(f"{row['id']}  {moment(float(str(row['created_at'])))}  {row['use']}")


@key.command()
@click.option("--tokens", is_flag=True, help="The keys that sign tokens for apps (oidc.keys_file) instead.")
@config_option
def new(tokens: bool, config_file: Path) -> None:
    """Make a new key ring where the old one is lost for good.

    Everyone is signed out; authenticator apps, security keys' names and API tokens must be set up again.
    """
    if tokens:
        click.echo(
            f"new keys to sign tokens are in {run(config_file, _new_token_keys)}; restart every gateway"
        )
        return

    async def work(opened: Opened) -> str:
        if _path(opened).exists():
            raise GatewayError(
                f"{_path(opened)} is there: move it away first, or use `auth-gateway key rotate`"
            )
        ring = KeyRing.load_or_create(_path(opened), opened.clock)
        fresh = await _take(opened, ring)
        await opened.record("key_ring_made", key=fresh)
        return fresh

    click.echo(f"new key ring with key {run(config_file, work)}; restart every gateway")


@key.command()
@config_option
def adopt(config_file: Path) -> None:
    """Take the ring of session.keys_file for this database, which knows another one.

    What the other ring sealed (sessions, authenticator apps, API tokens) can't be read any more.
    """

    async def work(opened: Opened) -> str:
        taken = await _take(opened, KeyRing(_path(opened), opened.clock))
        await opened.record("key_ring_adopted", key=taken)
        return taken

    click.echo(
        f"the database belongs to the ring with key {run(config_file, work)} now; restart every gateway"
    )


async def _new_token_keys(opened: Opened) -> Path:
    """Raises GatewayError if there are some."""
    path = keys_path(opened.config)
    if path.exists():
        raise GatewayError(f"{path} is there: move it away first, or use `auth-gateway key rotate`")
    keys = await open_signing_keys(opened.engine, opened.config, opened.clock, anew=True)
    await opened.record("key_rotated", key=keys.keys[0].ec.kid)
    return path


async def _take(opened: Opened, ring: KeyRing) -> str:
    ids = [one.id for one in ring.keys]
    await replace_keys(opened.engine, ids)
    return ids[0]


def _path(opened: Opened) -> Path:
    return Path(opened.config.session.keys_file)


async def _token_keys(opened: Opened) -> SigningKeys | None:
    """The keys that sign tokens, where any app gets some. Raises ConfigError if they are lost."""
    if not opened.config.oidc.enabled:
        return None
    return await open_signing_keys(opened.engine, opened.config, opened.clock)
