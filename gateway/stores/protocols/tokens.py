"""API tokens as the gateway knows them: those that administrators make for programs, and those of users."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class ApiToken:
    """An API token, of which only a digest is kept. `routes` are labels of routes; empty `methods` are all; `scopes`
    are of the admin API.

    A token of a user has an `owner`, for whom it stands, and a `title`; its `name` is then its id.
    Times are Unix seconds; `expires_at` 0 is never.
    """

    id: str
    name: str
    digest: str
    groups: tuple[str, ...]
    routes: tuple[str, ...]
    methods: tuple[str, ...]
    created_at: float
    expires_at: float
    last_used_at: float = 0.0
    scopes: tuple[str, ...] = ()
    owner: str = ""
    title: str = ""


class ApiTokens(Protocol):
    """What checking a token needs."""

    async def get(self, id: str) -> ApiToken | None:
        """Return a token, None if there is none."""

    async def used(self, id: str, at: float, digest: str) -> None:
        """Note the use, and store the hash by the newest key so that older keys may go."""
        ...


class OwnTokens(Protocol):
    """What users and administrators do with the tokens that users made."""

    async def add(self, token: ApiToken) -> None:
        """Insert a token."""

    async def owned(self, owner: str) -> Sequence[ApiToken]:
        """The newest first."""
        ...

    async def revoke_owned(self, owner: str, now: float, id: str = "") -> int:
        """End one, or all; returns how many."""
        ...
