"""What apps call users and their sessions by (OpenID Connect Core §8).

An app with pairwise subjects gets names that no other sector knows: made with a secret of this installation, so that
apps which put together what they were told can't find out that two of their users are one.
"""

import hmac
from hashlib import sha256
from urllib.parse import urlsplit

from gateway.config.sections.oidc import OidcClient
from gateway.model import User
from gateway.oidc.clients import Client
from gateway.oidc.session_names import session_name
from gateway.stores.protocols.oidc import Subjects

_LENGTH = 32
"""Letters of a name: 128 bits, as the public ones have."""


class NamesForApps:
    """Names users and sessions towards apps. `by_name`: public subjects are usernames, which somebody else may have one
    day (`oidc.subject`).
    """

    def __init__(self, subjects: Subjects, *, by_name: bool) -> None:
        self._subjects, self._by_name = subjects, by_name
        self._secret = b""

    async def of_user(self, app: Client, user: User) -> str:
        """Return what an app calls a user by. Raises StoreUnavailable."""
        if app.settings.subject_type == "public":
            return await self.public(user)
        own = await self._subjects.of(user.username, user.directory_id)
        return await self._hidden("subject", sector_of(app.settings), own)

    async def public(self, user: User) -> str:
        """Return what apps with public subjects call a user by. Raises StoreUnavailable."""
        return user.username if self._by_name else await self._subjects.of(user.username, user.directory_id)

    async def is_same(self, app: Client, user: User, subject: str) -> bool:
        """Whether an app may have called this user so: its subjects may have become pairwise, or public, since."""
        return subject in (await self.public(user), await self.of_user(app, user))

    async def of_session(self, app: Client, username: str, started: float) -> str:
        """Return the `sid` of a session that began at `started` (Unix time)."""
        if app.settings.subject_type == "public":
            return session_name(username, started)
        return await self._hidden("session", app.id, f"{started!r} {username}")

    async def _hidden(self, kind: str, sector: str, name: str) -> str:
        self._secret = self._secret or await self._subjects.secret()
        text = f"{kind}\n{sector}\n{name}".encode()
        return hmac.new(self._secret, text, sha256).hexdigest()[:_LENGTH]


def sector_of(settings: OidcClient) -> str:
    """Return the sector of an app (OpenID Connect Core §8.1): the host of its `sector_identifier_uri`, else that of its
    redirect URIs.

    Where these name no host, or this machine, or several, it is the app itself: `localhost` is nobody's name.
    """
    if settings.sector_identifier_uri:
        return urlsplit(settings.sector_identifier_uri).hostname or ""
    hosts = settings.redirect_hosts
    return hosts[0] if len(hosts) == 1 else f"client:{settings.id}"
