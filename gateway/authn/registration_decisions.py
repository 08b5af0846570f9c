"""Deciding about people who ask for an account, for console, API and commands: approved once, or refused once.

Nothing but an administrator decides: the mail about a request only leads to the console. Who is approved gets an
invitation, by which they choose a password; a password is never kept for somebody who may be refused.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.authn.invitations import Invitations, letter
from gateway.clock import Clock
from gateway.errors import GatewayError, InvalidUser, UserExists
from gateway.i18n.text import N_, Text
from gateway.model import User
from gateway.stores.protocols.registrations import Registration, Registrations

KEPT = 30 * 86400.0
"""Seconds for which a decision stands: an address that was refused can't ask again before."""
SHOWN = 200


class NotWaiting(GatewayError):
    """Somebody else was faster, or the request is too old."""

    status = 409
    public = N_("Somebody else was faster: this request is decided already.")


@dataclass(frozen=True, slots=True)
class DecidedRegistration:
    """What was decided, and the mail about it, which the caller sends to `asked.address` in `asked.lang`."""

    asked: Registration
    what: str
    subject: Text
    text: Text


class RegistrationDecisions:
    """Decides about requests. `groups` are those of new users."""

    def __init__(
        self,
        store: Registrations,
        invitations: Invitations,
        clock: Clock,
        *,
        groups: tuple[str, ...],
        brand: str,
    ) -> None:
        self._store, self._invitations, self._clock = store, invitations, clock
        self._groups, self._brand = groups, brand

    async def waiting(self) -> Sequence[Registration]:
        """Return who waits, the oldest first; at most SHOWN."""
        return await self._store.waiting(self._clock(), limit=SHOWN)

    async def approve(self, id: str, by: str) -> DecidedRegistration:
        """Add the user and make the invitation. Raises NotWaiting, UserExists, InvalidUser."""
        asked = await self._decide(id, "approved", by)
        user = User(
            asked.address, name=asked.name, email=asked.address, phone=asked.phone, groups=self._groups
        )
        try:
            link = await self._invitations.invite(user)
        except (UserExists, InvalidUser):
            now = self._clock()
            await self._store.decide(id, "approved", "waiting", "", now, asked.expires_at)
            raise
        subject, text = letter(self._brand, link)
        return DecidedRegistration(asked=asked, what="approved", subject=subject, text=text)

    async def refuse(self, id: str, by: str) -> DecidedRegistration:
        """Refuse a request. Raises NotWaiting."""
        asked = await self._decide(id, "refused", by)
        subject = N_("%(brand)s: your request was refused", brand=self._brand)
        text = N_("An administrator refused your request for an account at %(brand)s.\n", brand=self._brand)
        return DecidedRegistration(asked=asked, what="refused", subject=subject, text=text)

    async def _decide(self, id: str, what: str, by: str) -> Registration:
        asked, now = await self._store.get(id), self._clock()
        if asked is None or not await self._store.decide(id, "waiting", what, by, now, now + KEPT):
            raise NotWaiting("the request does not wait (any more)")
        return asked
