"""Invitations: an administrator names a person, who sets the password through a mailed link that works once.

Until then the account has no password, so nobody can sign in to it.
"""

from gateway.authn.one_time_links import Links
from gateway.clock import Clock
from gateway.directory.base import WritableDirectory
from gateway.errors import UserUnknown
from gateway.i18n.text import N_, NN_, Text
from gateway.model import User
from gateway.observability.audit import Audit
from gateway.stores.protocols.ledger import Ledger

LIFETIME = 72 * 3600.0


class Invitations:
    """Makes invitations, and takes them back when they are accepted. `base` is the public address of our pages, such
    as https://example.com/_auth.
    """

    def __init__(self, directory: WritableDirectory, ledger: Ledger, clock: Clock, *, base: str) -> None:
        self._directory, self._base = directory, base
        self._links = Links("invite", ledger, clock, lifetime=LIFETIME)

    async def invite(self, user: User) -> str:
        """Add the user without a password and return the link. Raises UserExists, InvalidUser."""
        await self._directory.add(user)
        return await self.link(user.username)

    async def link(self, username: str) -> str:
        """Return a new link for a user who has no password yet; the one before it ends. Raises UserUnknown."""
        user = await self._directory.get(username)
        if user is None or user.password_hash:
            raise UserUnknown(f"{username} has no invitation to renew")
        return f"{self._base}/invite?token={await self._links.issue(_person(user))}"

    async def invited(self, token: str) -> User | None:
        """Return whom the link is for, None if it works no more."""
        return await self._welcome(await self._links.look(token))

    async def accept(self, token: str, password: str, audit: Audit, ip: str) -> User | None:
        """Set the password and use the link up; None if it works no more. Raises WeakPassword.

        Strength is asked first, so that a weak password does not cost the link; of two takers one sets the password.
        """
        user = await self.invited(token)
        if user is None:
            return None
        await self._directory.check_password(password, user)
        if await self._links.take(token) is None:
            return None
        await self._directory.set_password(user.username, password)
        audit.record("invitation_accepted", user.username, ip)
        return await self._directory.get(user.username)

    async def _welcome(self, person: str | None) -> User | None:
        user = await self._directory.get(person.partition(" ")[0]) if person else None
        if user is None or _person(user) != person:
            return None
        return None if user.disabled or user.password_hash else user


def _person(user: User) -> str:
    """Whom a link is for: not whoever has the name later. Usernames have no spaces."""
    return f"{user.username} {user.created_at!r}"


def letter(brand: str, link: str) -> tuple[Text, Text]:
    """Return subject and text of the mail."""
    days = round(LIFETIME / 86400)
    return (
        N_("Your account at %(brand)s", brand=brand),
        NN_(
            "An account was made for you at %(brand)s.\n\nChoose your password and set up your second factor "
            "here:\n%(link)s\n\nThe link works once, for %(count)s day.\n",
            "An account was made for you at %(brand)s.\n\nChoose your password and set up your second factor "
            "here:\n%(link)s\n\nThe link works once, for %(count)s days.\n",
            days,
            brand=brand,
            link=link,
        ),
    )
