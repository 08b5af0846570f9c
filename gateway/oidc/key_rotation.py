"""Renews the keys that sign tokens by itself (`oidc.rotate_keys`).

Every worker of every replica looks now and then; the file's lock, and a second look under it, let one of them act.
The new key signs after `oidc.announce`, when all of them and the apps have read it.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from gateway.errors import ConfigError
from gateway.observability.audit import Audit
from gateway.oidc.signing_keys import SigningKeys

log = logging.getLogger("gateway.oidc")
LOOK_INTERVAL = 600.0
"""Seconds between looks."""


@dataclass(frozen=True, slots=True)
class Rotation:
    """Rotates `keys` when the newest is `age` seconds old; `longest` is for how many seconds a token may be good."""

    keys: SigningKeys
    audit: Audit
    age: float
    longest: float

    async def look(self) -> None:
        """Rotate once if the newest key is old enough."""
        try:
            fresh = await asyncio.to_thread(self.keys.rotate_if_older, self.age, self.longest)
        except ConfigError as error:  # the keys there are still good; the next look tries again
            log.error("the signing keys are due for rotation, but can't be written: %s", error)
            return
        if fresh is not None:
            self.audit.record("key_rotated", key=fresh.ec.kid, by="oidc.rotate_keys")

    async def run(self, pause: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Look again and again, until cancelled."""
        while True:
            await self.look()
            await pause(LOOK_INTERVAL)
