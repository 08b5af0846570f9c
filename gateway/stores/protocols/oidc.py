"""The Protocols of what the OpenID provider stores."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Grant:
    """What a user let an app have, from one sign-in on. All its tokens are void when the grant is gone.

    The session is named by its user and when it began, since its id changes with each proof. `facts` are what was
    proven then (auth_time, amr, acr). A grant that is not `redeemed` waits for the app to bring its code.
    """

    id: str
    client_id: str
    username: str
    session_started: float
    scopes: tuple[str, ...]
    facts: dict[str, object]
    created_at: float
    expires_at: float
    redeemed: bool = False

    @property
    def subject(self) -> str:
        """What the app calls the user by; grants from before there were such ids have the username."""
        return str(self.facts.get("sub") or self.username)


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """A refresh token of a grant; `used_at` 0 = not yet."""

    grant_id: str
    expires_at: float
    used_at: float


class Grants(Protocol):
    """Grants and their refresh tokens, of which only digests are kept. Ending a session early ends its grants."""

    async def add(self, grant: Grant) -> None:
        """Insert a grant."""

    async def get(self, id: str) -> Grant | None:
        """Return a grant, None if there is none."""

    async def list(self, username: str) -> Sequence[Grant]:
        """Return the grants of a user."""

    async def redeem(self, id: str, expires_at: float, refresh: str, refresh_until: float) -> bool:
        """Give the grant its full life and a refresh token's digest ("" for none), good until `refresh_until` (Unix
        time).

        False if the grant is gone.
        """
        ...

    async def refresh_token(self, digest: str) -> RefreshToken | None:
        """Return what is known of the refresh token with this digest, None if nothing."""

    async def rotate(self, digest: str, now: float, fresh: str, until: float, *, grace: float = 0.0) -> bool:
        """Mark one token used and add the fresh one in one step: of racing callers exactly one gets True.

        Who comes within `grace` seconds of the first gets True as well.
        """
        ...

    async def end(self, *, id: str = "", username: str = "", client_id: str = "") -> int:
        """End the grants that match everything given; return how many. Raises ValueError if nothing is given."""
        ...


@dataclass(frozen=True, slots=True)
class Consent:
    """The scopes that a user allowed an app."""

    username: str
    client_id: str
    scopes: tuple[str, ...]
    created_at: float


class Consents(Protocol):
    """The consents of users."""

    async def get(self, username: str, client_id: str) -> Consent | None:
        """Return what a user allowed an app, None if nothing."""

    async def put(self, consent: Consent) -> None:
        """Insert or replace."""

    async def remove(self, username: str, client_id: str) -> bool:
        """Take a consent back; True if there was one."""

    async def list(self, username: str) -> Sequence[Consent]:
        """Return what a user allowed, by app."""


@dataclass(frozen=True, slots=True)
class Login:
    """A session has signed in to an app, which is told when the session ends before its time."""

    username: str
    session_started: float
    client_id: str
    expires_at: float
    tries: int = 0
    subject: str = ""
    """What the app calls the user by; "" is the username."""


class Logins(Protocol):
    """Which apps sessions have signed in to, and which of them are to be told of the end."""

    async def note(self, login: Login) -> None:
        """Note that a session signed in to an app."""

    async def end(self, username: str, client_id: str, now: float) -> int:
        """Let the app be told, though the session goes on; returns how many there are to tell."""
        ...

    async def due(self, now: float, lease: float) -> Sequence[Login]:
        """Return those to tell now. No other caller gets them until `lease` seconds have passed."""
        ...

    async def later(self, login: Login, at: float) -> None:
        """Try again at `at`."""

    async def done(self, login: Login) -> None:
        """Forget it: the app was told."""


class Subjects(Protocol):
    """What apps call users by (`sub`, OpenID Connect Core §8): never given to anybody else again."""

    async def of(self, username: str, directory_id: str) -> str:
        """Return the subject of a user; whoever has the name with another `directory_id` than before gets a new one.

        Raises StoreUnavailable.
        """
        ...

    async def secret(self) -> bytes:
        """Return the secret from which pairwise subjects are made, the same for all time. Raises StoreUnavailable."""
        ...
