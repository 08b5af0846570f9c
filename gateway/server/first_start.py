"""Opens the key ring before anybody serves. Only the very first start makes one, and says so."""

import logging
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncEngine

from gateway import keyfile
from gateway.clock import Clock
from gateway.config.schema import Config
from gateway.keyring import KeyRing, keep_in_memory
from gateway.oidc.signing_keys import SigningKeys, keys_path
from gateway.stores.sql.key_names import claim_keys, never_had_keys

log = logging.getLogger("gateway.keyring")


async def open_keys(engine: AsyncEngine, config: Config, clock: Clock) -> KeyRing:
    """The installation's key ring; this process and those that it forks remember it, and what signs tokens.

    Raises ConfigError if it is missing though this database has had one, or is not the one that it had.
    """
    path = Path(config.session.keys_file)
    first = await never_had_keys(engine)
    if first and not path.exists():  # noqa: ASYNC240 - nobody is served yet
        ring = KeyRing.load_or_create(path, clock)
        log.warning(
            "first start: made a new key ring (key %s) in %s. Back it up with the database: without it everyone is"
            " signed out, and authenticator apps and API tokens are lost",
            *(ring.keys[0].id, path),
        )
    else:
        ring = KeyRing(path, clock)
    await claim_keys(engine, path, [key.id for key in ring.keys])
    keep_in_memory(path)
    if config.oidc.clients:
        SigningKeys(keys_path(config), clock, announce=config.oidc.announce)
        keyfile.keep(keys_path(config))
    return ring
