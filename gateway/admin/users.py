"""Changes users on behalf of an administrator. Each act asks `safeguards` first, and is audited with what
it changed.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from gateway.admin.actor import Actor
from gateway.admin.difference import difference, version
from gateway.admin.safeguards import check, check_own_factors
from gateway.admin.services import AdminServices
from gateway.authn.invitations import Invitations, letter
from gateway.authn.one_time_links import Links
from gateway.authn.password_reset import ACCEPTED, reset_person
from gateway.authn.password_reset import LIFETIME as RESET_LIFETIME
from gateway.directory.base import WritableDirectory
from gateway.errors import GatewayError, TooManyAttempts, UserUnknown
from gateway.i18n.text import N_
from gateway.model import User

_TURN, _LONGEST_TURN = "turn:admin", 10.0
NOT_HERE = N_("Users are kept elsewhere. Change them there.")
CHANGED_MEANWHILE = N_(
    "Somebody else changed this user meanwhile. Look at it again, then repeat your change."
)


class KeptElsewhere(GatewayError):
    """Users live in a directory that the gateway may not change."""

    status = 409
    public = NOT_HERE


class Stale(GatewayError):
    """The user was changed by somebody else since the version that this change was made from."""

    status = 412
    public = CHANGED_MEANWHILE


@dataclass(frozen=True, slots=True)
class OneTimeLink:
    """A link that was made for a user. `kind` is "invitation" or "reset"; `mailed` says whether it is on its way to
    the user.
    """

    kind: str
    url: str
    mailed: bool = False


class UserChanges:
    """Adds, changes and deletes users, one change at a time."""

    def __init__(self, admin: AdminServices) -> None:
        services = admin.services
        self._services, self._audit, self._groups = services, services.audit, admin.config.admin.groups
        self._base = services.pages_url

    @property
    def can_change(self) -> bool:
        return self._services.users.writable is not None

    async def get(self, username: str) -> User:
        """Return a user. Raises UserUnknown."""
        user = await self._services.users.directory.get(username)
        if user is None:
            raise UserUnknown("there is no such user", public=N_("There is no such user."))
        return user

    async def add(self, actor: Actor, wanted: User, password: str | None = None) -> User:
        """Add a user. Raises UserExists, InvalidUser, WeakPassword."""
        await self._writable.add(wanted, password)
        user = await self.get(wanted.username)
        self._audit.record(
            "user_added", user.username, actor.ip, by=actor.name, changes=difference(None, user)
        )
        return user

    async def change(self, actor: Actor, wanted: User, seen: str) -> User:
        """Store all fields of `wanted`; `seen` is the version it was made from. Raises Stale, Locked, InvalidUser."""
        async with self._turn():
            before = await self.get(wanted.username)
            if seen != version(before):
                raise Stale(f"{before.username} was changed meanwhile")
            await self._check(actor, before, wanted)
            await self._writable.replace(wanted)
            after = await self.get(before.username)
        changes = difference(before, after)
        if changes.keys() == {"disabled"}:
            self._note_switch(actor, after)
        elif changes:
            self._audit.record(
                "user_changed",
                after.username,
                actor.ip,
                by=actor.name,
                fields=list(changes),
                changes=changes,
            )
        return after

    def _note_switch(self, actor: Actor, user: User) -> None:
        changes = difference(replace(user, disabled=not user.disabled), user)
        if user.disabled:
            self._audit.record("user_disabled", user.username, actor.ip, by=actor.name, changes=changes)
        else:
            self._audit.record("user_enabled", user.username, actor.ip, by=actor.name, changes=changes)

    async def delete(self, actor: Actor, username: str, seen: str = "") -> None:
        """Delete a user. Raises Stale if the user changed since `seen` (a version), or what `safeguards` refuse."""
        async with self._turn():
            before = await self.get(username)
            if seen and seen != version(before):
                raise Stale(f"{before.username} was changed meanwhile")
            await self._check(actor, before, None)
            await self._writable.delete(before.username)
        self._audit.record(
            "user_deleted", before.username, actor.ip, by=actor.name, changes=difference(before, None)
        )

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """One change at a time in all workers: two administrators who demote each other would leave none."""
        if not await self._services.stores.ledger.claim_once(_TURN, _LONGEST_TURN):
            raise TooManyAttempts("another change is running", retry_after=1)
        try:
            yield
        finally:
            await self._services.stores.ledger.delete(_TURN)

    async def _check(self, actor: Actor, before: User, after: User | None) -> None:
        two = await self._services.users.directory.in_groups(self._groups, limit=2)
        check(actor, before, after, two, self._groups)

    # -- links ---------------------------------------------------------------------------------------------------------

    async def link(self, actor: Actor, username: str) -> OneTimeLink:
        """A link that works once: an invitation for who has no password, else a way to a new one.

        A reset asks for a second factor as ever (security rule 10). Who has none is invited again: the old password
        is gone from then on, and sessions end.
        """
        user = await self.get(username)
        check_own_factors(actor, user)
        writable, services = self._writable, self._services
        if user.password_hash and await self._has_factor(user):
            token = await Links(
                "reset", services.stores.ledger, services.clock, lifetime=RESET_LIFETIME
            ).issue(reset_person(user))
            made = OneTimeLink("reset", f"{self._base}/reset?token={token}")
        else:
            if user.password_hash:
                await writable.clear_password(user.username)
                await services.sessions.end_others(user.username, "")
            made = OneTimeLink("invitation", await self._invitations().link(user.username))
        self._audit.record("link_made", user.username, actor.ip, by=actor.name, kind=made.kind)
        return made

    async def invite(self, actor: Actor, wanted: User) -> OneTimeLink:
        """Add a user without a password and mail the link, if there is an address. Raises UserExists, InvalidUser."""
        url = await self._invitations().invite(wanted)
        user = await self.get(wanted.username)
        self._audit.record(
            "user_invited", user.username, actor.ip, by=actor.name, changes=difference(None, user)
        )
        return OneTimeLink("invitation", url, mailed=self._mail(user, url))

    def _mail(self, user: User, url: str) -> bool:
        services = self._services
        subject, text = letter(services.config.branding.name, url)
        services.messaging.notices.mail(user.username, user.email, subject, text, about="invitation")
        return bool(user.email)

    def _invitations(self) -> Invitations:
        return Invitations(
            self._writable, self._services.stores.ledger, self._services.clock, base=self._base
        )

    async def _has_factor(self, user: User) -> bool:
        """One that a reset accepts."""
        return bool(await self._services.authn.signin.usable_factors(user, ACCEPTED))

    @property
    def _writable(self) -> WritableDirectory:
        if self._services.users.writable is None:
            raise KeptElsewhere("users are in another directory")
        return self._services.users.writable
