"""The Protocols of sessions, credentials and the like. Each has one contract suite that runs on every back
end.

Methods raise StoreUnavailable while the database or Redis can't be reached. Times are Unix seconds, lifetimes
seconds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.model import SessionRecord


class SessionStore(Protocol):
    """Session records. Deleting publishes a Change in the same transaction, so every worker hears of it."""

    async def get(self, sid: str) -> SessionRecord | None:
        """Return a session, None if there is none."""

    async def put(self, record: SessionRecord, *, instead_of: str = "") -> bool:
        """Insert or replace. The session `instead_of` ends in the same moment; False, and nothing, if it has ended."""
        ...

    async def touch(self, sid: str, last_seen: float) -> None:
        """Note when a session was last used (Unix time); never moves the time back."""

    async def delete(self, sid: str) -> bool:
        """End a session; True if it was there."""

    async def delete_for_user(self, username: str, *, keep: str = "") -> int:
        """End all sessions of a user but `keep`; returns how many."""
        ...

    async def list(self, username: str | None = None) -> Sequence[SessionRecord]:
        """Return the sessions of a user, or all, oldest first."""

    async def purge(self, now: float, idle_timeout: float) -> int:
        """Drop what has expired, also by `idle_timeout` seconds without use where it is not kept; return how many.

        Publishes nothing: every worker knows when sessions expire.
        """
        ...


class DeviceKeys(Protocol):
    """The keys of browsers that sessions are bound to."""

    async def bind(self, sid: str, device_id: str, device_key: str) -> bool:
        """Bind a session to a key, once and for all; False if it has ended or has one. Publishes a Change."""
        ...

    async def bound_to(self, device_id: str) -> SessionRecord | None:
        """Return the session that is bound to this key, None if there is none."""
        ...


@dataclass(frozen=True, slots=True)
class Change:
    """What caches must forget: a "session" that ended (subject = sid), a "binding" of one that goes on with a key
    (sid), a "user" (username) or a "token" ("token:" and name).

    "all" stands in no store: a worker tells itself so when it begins to listen.
    """

    kind: str
    subject: str


CHANGES_AT_ONCE = 500
"""An import or a revocation of many leaves thousands; a worker hears them in turns, between which it serves."""


class Changes(Protocol):
    """The feed of changes that each worker follows (at least once, in order)."""

    async def latest(self) -> int:
        """The cursor that stands after all changes so far."""
        ...

    async def since(self, cursor: int) -> tuple[int, Sequence[Change]]:
        """The changes after `cursor`, at most CHANGES_AT_ONCE of them, and the new cursor."""
        ...


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One event of the audit log. `data` are its further fields."""

    at: float
    event: str
    username: str
    ip: str
    data: dict[str, object]


class AuditLog(Protocol):
    """The audit log: append and read the end."""

    async def append(self, rows: Sequence[AuditRow]) -> None:
        """Add events, in this order."""

    async def tail(
        self, limit: int, *, username: str | None = None, event: str | None = None
    ) -> Sequence[AuditRow]:
        """Return the newest `limit` rows, the oldest of them first."""
        ...


@dataclass(frozen=True, slots=True)
class Credential:
    """A factor that a user has enrolled (totp, webauthn, recovery ...).

    `secret` is opaque to storage, which keeps it encrypted.
    `counter` is the replay guard: last TOTP step or WebAuthn sign count.
    """

    id: str
    username: str
    kind: str
    name: str
    secret: bytes
    created_at: float
    last_used_at: float = 0.0
    counter: int = 0


class Credentials(Protocol):
    """The factors that users have enrolled."""

    async def list(self, username: str, kind: str | None = None) -> Sequence[Credential]:
        """Return a user's credentials, of one kind or all."""

    async def get(self, id: str) -> Credential | None:
        """Return a credential, None if there is none."""

    async def add(self, credential: Credential) -> None:
        """Insert a credential."""

    async def rename(self, username: str, id: str, name: str) -> bool:
        """Name a credential; False if this user has none with this id."""

    async def advance(self, id: str, counter: int, used_at: float) -> bool:
        """Set `counter` (a time step or a signature count) only if it is larger than the stored one.

        Of two racing callers one gets True.
        """
        ...

    async def remove(self, username: str, id: str) -> bool:
        """Remove; exactly one of two racing callers gets True (that is how recovery codes are consumed)."""
        ...


@dataclass(frozen=True, slots=True)
class Device:
    """A browser that skips the second factor. `id` is a digest: only the browser has what it is made from."""

    id: str
    username: str
    user_agent: str
    ip: str
    created_at: float
    last_used_at: float
    expires_at: float


class Devices(Protocol):
    """Remembered devices. They go with the user, and when the user is disabled or loses a second factor."""

    async def get(self, id: str) -> Device | None:
        """Return a device, None if there is none."""

    async def add(self, device: Device) -> None:
        """Insert a device."""

    async def touch(self, id: str, used_at: float, ip: str) -> None:
        """Note when and from where a device was used."""

    async def remove(self, username: str, id: str) -> bool:
        """Forget a device of this user; True if there was one."""

    async def remove_for_user(self, username: str) -> int:
        """Forget all devices of a user; return how many."""

    async def list(self, username: str | None = None) -> Sequence[Device]:
        """Return the devices of a user, or all, oldest first."""

    async def purge(self, now: float) -> int:
        """Drop what has expired; returns how many."""
        ...


@dataclass(frozen=True, slots=True)
class Place:
    """Where and with what a user signed in. `country` is ISO 3166-1 alpha-2, "" if unknown, as are coordinates.

    `network` is the address block, `device` a digest of the kind of browser; neither names a person.
    """

    network: str
    device: str
    country: str
    latitude: float | None
    longitude: float | None
    seen_at: float


class Places(Protocol):
    """Where users have signed in from, for `risk`."""

    async def of(self, username: str) -> Sequence[Place]:
        """The newest places of a user, newest first."""
        ...

    async def put(self, username: str, place: Place) -> None:
        """Insert, or bring up to date."""
        ...

    async def purge(self, before: float) -> int:
        """Drop what was last seen before then; return how many."""
        ...


@dataclass(frozen=True, slots=True)
class AccessAsked:
    """Somebody's request for a group. `state` is "asked", "granted", "refused" or "ended".

    `expires_at` is when a grant ends, or when nobody needs to decide any more.
    """

    id: str
    username: str
    group: str
    page: str
    why: str
    state: str
    asked_at: float
    expires_at: float
    decided_by: str = ""
    decided_at: float = 0.0


class AccessRequests(Protocol):
    """Requests for groups, and what was granted."""

    async def add(self, asked: AccessAsked) -> bool:
        """Store a request; False if this user has one open for that group already."""
        ...

    async def decide(self, id: str, before: str, after: str, by: str, now: float, expires_at: float) -> bool:
        """Change the state if it still is `before`, atomically, and publish that the user changed."""
        ...

    async def get(self, id: str) -> AccessAsked | None:
        """Return a request, None if there is none."""

    async def list(self, now: float, *, groups: Sequence[str] | None = None) -> Sequence[AccessAsked]:
        """Open requests and running grants, newest first; all of them if `groups` is None."""
        ...

    async def granted(self, username: str, now: float) -> Sequence[tuple[str, float]]:
        """Return the groups lent to this user, each with the Unix time when that ends."""
        ...

    async def purge(self, before: float) -> int:
        """Drop what ended before a time; return how many."""
        ...


class FederatedAccounts(Protocol):
    """Accounts at identity providers that are linked to users."""

    async def username(self, provider: str, subject: str) -> str | None:
        """Return the user to whom this account is linked."""
        ...

    async def link(self, provider: str, subject: str, username: str, now: float) -> bool:
        """Link an account; False if it, or the user at this provider, is linked already."""
        ...

    async def of(self, username: str) -> Sequence[str]:
        """The providers that this user has an account at."""
        ...

    async def unlink(self, provider: str, username: str) -> bool:
        """Take a link away; True if there was one."""
