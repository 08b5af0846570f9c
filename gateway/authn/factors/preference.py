"""Remembers which second factor a user is asked for first: the one they chose, else the one they used last.

Kept among the user's credentials, so that it goes when the user goes; it proves nothing.
"""

from collections.abc import Callable, Iterable

from gateway.authn.factors.totp import random_id
from gateway.clock import Clock
from gateway.policy.decide import LENT_FACTORS
from gateway.stores.protocols.core import Credential, Credentials

KIND = "preference"
CHOSEN, USED = "chosen", "used"


class Preferences:
    """The preferences of all users."""

    def __init__(
        self, credentials: Credentials, clock: Clock, *, new_id: Callable[[], str] = random_id
    ) -> None:
        self._credentials, self._clock, self._new_id = credentials, clock, new_id

    async def ordered(self, username: str, factors: Iterable[str]) -> list[str]:
        """Return `factors`, the chosen one first, else the last used one."""
        first = await self._first(username)
        return sorted(factors, key=lambda factor: factor != first)

    async def chosen(self, username: str) -> str:
        """Return the factor that the user chose by hand, "" if none."""
        return (await self._kept(username)).get(CHOSEN, "")

    async def choose(self, username: str, factor: str) -> None:
        """Note the user's choice; "" takes it back."""
        await self._keep(username, CHOSEN, factor)

    async def used(self, username: str, factor: str) -> None:
        """Note what was used, for users who never chose; not bypass codes, recovery codes or approvals."""
        if factor not in LENT_FACTORS | {"recovery"} and (await self._kept(username)).get(USED) != factor:
            await self._keep(username, USED, factor)

    async def note(self, username: str, name: str, value: str) -> None:
        """Keep something of a user's own that is no factor: `name` says what."""
        await self._keep(username, name, value)

    async def noted(self, username: str, name: str) -> str:
        """Return what `note` has kept, "" if nothing."""
        return (await self._kept(username)).get(name, "")

    async def forget(self, username: str, name: str) -> None:
        """Forget what `note` has kept."""
        for old in await self._credentials.list(username, KIND):
            if old.name == name:
                await self._credentials.remove(username, old.id)

    async def _first(self, username: str) -> str:
        kept = await self._kept(username)
        return kept.get(CHOSEN) or kept.get(USED, "")

    async def _kept(self, username: str) -> dict[str, str]:
        return {one.name: one.secret.decode() for one in await self._credentials.list(username, KIND)}

    async def _keep(self, username: str, name: str, factor: str) -> None:
        await self.forget(username, name)
        await self._credentials.add(
            Credential(
                id=self._new_id(),
                username=username,
                kind=KIND,
                name=name,
                secret=factor.encode(),
                created_at=self._clock(),
            )
        )
