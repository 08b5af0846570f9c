"""Tells whether what a user let an app have is still good, and who that user is now.

Nothing is kept of the user in a grant: groups, attributes and whether the policy lets them in are looked at each time.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace

from gateway.clock import Clock
from gateway.directory.base import Directory
from gateway.model import SessionLifetimes, SessionRecord, User
from gateway.oidc.clients import Client
from gateway.oidc.subjects import NamesForApps
from gateway.stores.protocols.core import SessionStore
from gateway.stores.protocols.oidc import Grant

OFFLINE = "offline_access"


class LivingGrants:
    """Looks at grants. `lifetimes` are those of sessions; `with_lent_groups` adds the groups that a user has for a
    time.
    """

    def __init__(
        self,
        directory: Directory,
        sessions: SessionStore,
        names: NamesForApps,
        clock: Clock,
        *,
        lifetimes: SessionLifetimes,
        with_lent_groups: Callable[[User], Awaitable[User]],
    ) -> None:
        self._directory, self._sessions, self._names, self._clock = directory, sessions, names, clock
        self._lifetimes, self._with_lent_groups = lifetimes, with_lent_groups

    async def user(self, app: Client, grant: Grant) -> User | None:
        """Return the user, with all groups, if nothing has happened since that voids the grant.

        With `offline_access` a grant outlives its session's own time. It never outlives a session that somebody ended
        (the store sees to that), a new password, or the user. Groups that an identity provider named are those of the
        session, and go with it.
        """
        now = self._clock()
        user = await self._directory.get(grant.username)
        if user is None or user.disabled or now >= grant.expires_at:
            return None
        if user.directory_id and not await self._names.is_same(app, user, grant.subject):
            return None  # somebody else has the name now
        session = await self.session_of(grant)
        if session is not None and not self._lifetimes.alive(session, session.last_seen, now):
            session = None
        if session is None and not (OFFLINE in grant.scopes and grant.redeemed):
            return None
        user = await self._with_lent_groups(user)
        named = session.provider_groups if session is not None else ()
        user = replace(user, groups=tuple(dict.fromkeys((*user.groups, *named))))
        if user.password_changed_at > grant.created_at or not app.is_for(user):
            return None
        return user

    async def session_of(self, grant: Grant) -> SessionRecord | None:
        """Return the session that a grant hangs on, however it was called when it began; None if it is gone."""
        sessions = await self._sessions.list(grant.username)
        return next((one for one in sessions if one.created_at == grant.session_started), None)
