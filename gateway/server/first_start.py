"""Opens the key ring before anybody serves. Only the very first start makes one, and says so."""

import logging
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncEngine

from gateway import keyfile
from gateway.clock import Clock
from gateway.config.schema import Config
from gateway.errors import ConfigError, Mistake
from gateway.keyring import KeyRing, keep_in_memory
from gateway.oidc.signing_keys import SigningKeys, keys_path
from gateway.stores.sql.key_names import claim_keys, had_signing_keys, never_had_keys, note_signing_keys

log = logging.getLogger("gateway.keyring")
_LOST = (
    "restore them from a backup, or copy them from another replica; `auth-gateway key new --tokens` if they are lost"
    " for good: apps then refuse what was signed before"
)


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
    if config.oidc.enabled:
        await open_signing_keys(engine, config, clock)
        keyfile.keep(keys_path(config))
    return ring


async def open_signing_keys(
    engine: AsyncEngine, config: Config, clock: Clock, *, anew: bool = False
) -> SigningKeys:
    """Return the keys that sign tokens, made where there never were any, or `anew`.

    Raises ConfigError if they are missing though there were some: apps know them, and tokens from before would be void.
    """
    path = keys_path(config)
    known = await had_signing_keys(engine)
    if known and not anew and not path.exists():
        problem = "the keys that sign tokens are missing"
        raise ConfigError(
            [Mistake(file=str(path), line=0, key="oidc.keys_file", problem=problem, mend=_LOST)]
        )
    keys = SigningKeys(path, clock, announce=config.oidc.announce)
    if not known:
        await note_signing_keys(engine)
    return keys
