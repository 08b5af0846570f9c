"""The Protocol of what is kept of sign-ins at identity providers, for as long as the session lasts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class ProviderSignIn:
    """A session that began, or went on, at an identity provider.

    The session is named by its user and when it began, since its id changes with each proof. `subject` and
    `provider_sid` are the provider's names of the account and of its own session ("" if it does not tell), `id_token`
    is sealed (b"" where nobody needs it).
    """

    username: str
    session_started: float
    provider: str
    subject: str
    provider_sid: str
    id_token: bytes
    at: float


@dataclass(frozen=True, slots=True)
class SessionThere:
    """A living session: its id here, and whose it is."""

    sid: str
    username: str


class ProviderSignIns(Protocol):
    """Sign-ins at providers. They go with their session."""

    async def put(self, sign_in: ProviderSignIn) -> None:
        """Insert, or replace what this session had of this provider."""

    async def of_session(self, username: str, started: float) -> Sequence[ProviderSignIn]:
        """Return what a session has that began at `started` (Unix time), the newest first."""
        ...

    async def sessions(self, provider: str, *, subject: str, sid: str) -> Sequence[SessionThere]:
        """Return the living sessions of the provider's session `sid`, with `subject` those of that account alone; all
        of that account where `sid` is "".

        A session of the account of which the provider told no sid may be any of its sessions, so it is among them.
        """
        ...
