"""Making an account of one's own, without HTTP: who may, and what must be proven before there is one.

A link to the mailbox comes first, then a code to the phone, then the account, or the wait for an administrator. The
mail address in its one spelling is the username. No answer tells whether an account exists: everybody has the same
page, and what differs is in the mail, which only the mailbox's owner reads. No mail to a stranger holds text that a
visitor chose.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from gateway.authn.bound_links import BoundLinks, FoundLink, LinkState
from gateway.authn.login_origin import LoginOrigin
from gateway.authn.registration_letters import Letters
from gateway.clock import Clock
from gateway.config.names import mail_address, user_name
from gateway.config.schema import RegistrationSection
from gateway.directory import identifiers
from gateway.directory.base import WritableDirectory
from gateway.errors import InvalidUser, UserExists
from gateway.i18n.text import N_
from gateway.model import User
from gateway.observability.audit import Audit
from gateway.rate_limits import (
    LINKS_PER_IP,
    REGISTRATIONS_IN_ALL,
    REGISTRATIONS_PER_IP,
    REGISTRATIONS_PER_TARGET,
    RateLimits,
)
from gateway.stores.protocols.ledger import Ledger
from gateway.stores.protocols.registrations import Registration, Registrations

WAITS = 30 * 86400.0
"""Seconds for which a request waits, and for which an address that was refused can't ask again."""
_LONGEST_NAME = 100
_IN_NO_NAME = frozenset("<>/\\@:")
_BAD_NAME = N_("Please write your name with at most 100 characters, and without links.")


class Standing(StrEnum):
    """What an address is to us; the values are in the audit log."""

    NEW = "new"
    INVALID = "invalid"
    """No address, or none that could be a username."""
    DOMAIN = "domain"
    """Not of `registration.domains`."""
    RESERVED = "reserved"
    """A rule of the configuration names it: who had it would get what that rule allows."""
    EXISTS = "exists"
    DISABLED = "disabled"
    WAITING = "waiting"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class OpenedRegistration:
    """A link that was looked at. `address` is "" unless it is good here."""

    state: LinkState
    address: str = ""
    rd: str = "/"


class SelfRegistration:
    """Mails links to those who want an account, and makes the account or the request for one.

    `reserved` are usernames that nobody registers as.
    """

    def __init__(
        self,
        *,
        config: RegistrationSection,
        directory: WritableDirectory,
        store: Registrations,
        ledger: Ledger,
        limits: RateLimits,
        fingerprint: Callable[[str], str],
        audit: Audit,
        letters: Letters,
        clock: Clock,
        reserved: frozenset[str],
        token: Callable[[], str] = secrets.token_urlsafe,
    ) -> None:
        self._config, self._directory, self._store = config, directory, store
        self._limits, self._fingerprint, self._audit = limits, fingerprint, audit
        self._letters, self._clock, self._reserved = letters, clock, reserved
        self.links = BoundLinks("register", ledger, lifetime=config.lifetime, token=token)

    @property
    def needs_approval(self) -> bool:
        return self._config.mode == "approval"

    async def request(self, client: LoginOrigin, typed: str, *, browser: str, rd: str) -> None:
        """Mail to an address what it is due, in the background. Raises TooManyAttempts, whatever address it is."""
        await self._limits.spend(REGISTRATIONS_PER_IP, client.network)
        await self._limits.spend(REGISTRATIONS_PER_TARGET, mail_address(typed) or user_name(typed)[:128])
        self._letters.later(lambda: self._send(client, typed, browser=browser, rd=rd))

    async def _send(self, client: LoginOrigin, typed: str, *, browser: str, rd: str) -> None:
        address = canonical(typed)
        standing = await self._standing(address)
        # What is no address may be a password, typed into the wrong field.
        foreign = standing in (Standing.INVALID, Standing.DOMAIN)
        shown = self._fingerprint(typed) if foreign else address
        self._audit.record("registration_asked", shown, client.ip, outcome=standing.value)
        if standing not in (Standing.NEW, Standing.EXISTS, Standing.WAITING):
            return
        await self._limits.spend(REGISTRATIONS_IN_ALL, "")  # counts mails, not addresses that get none
        if standing is Standing.EXISTS:
            self._letters.exists(address, lang=client.lang)
        elif standing is Standing.WAITING:
            self._letters.waits(address, lang=client.lang)
        else:
            token = await self.links.issue(browser, {"address": address, "rd": rd})
            self._letters.link(address, token, self.links.lifetime, lang=client.lang)

    async def look(self, token: str, browser: str) -> OpenedRegistration:
        """Return what the link is worth in the browser with this secret; looking uses nothing up."""
        return await self._judge(await self.links.look(token, browser))

    async def open(self, client: LoginOrigin, token: str, browser: str) -> OpenedRegistration:
        """Do as `look`, for who sends a form with the link. Raises TooManyAttempts."""
        await self._limits.spend(LINKS_PER_IP, client.network)
        opened = await self.look(token, browser)
        if opened.state is LinkState.ELSEWHERE:
            self._audit.record("registration_elsewhere", "", client.ip)
        return opened

    async def create(
        self, client: LoginOrigin, token: str, browser: str, *, name: str, password: str, phone: str
    ) -> User | None:
        """Make the account and use the link up; None if it works no more. Raises InvalidUser, WeakPassword.

        All is asked first, so that a weak password does not cost the link; of two takers one has the account.
        """
        opened = await self.look(token, browser)
        if opened.state is not LinkState.GOOD:
            return None
        user = self._user(opened.address, name, phone)
        await self._directory.check_password(password, user)
        if not await self._used_up(client, token, browser):
            return None
        try:
            await self._directory.add(user, password)
        except UserExists:
            return None
        self._audit.record("account_created", user.username, client.ip, groups=list(user.groups))
        return await self._directory.get(user.username)

    async def apply(self, client: LoginOrigin, token: str, browser: str, *, name: str, phone: str) -> bool:
        """Ask administrators for the account and use the link up; False if it works no more. Raises InvalidUser."""
        opened = await self.look(token, browser)
        if opened.state is not LinkState.GOOD:
            return False
        user, now = self._user(opened.address, name, phone), self._clock()
        if not await self._used_up(client, token, browser):
            return False
        asked = Registration(
            id=secrets.token_hex(12),
            address=user.username,
            name=user.name,
            phone=user.phone,
            lang=client.lang,
            state="waiting",
            asked_at=now,
            expires_at=now + WAITS,
        )
        if not await self._store.add(asked):
            return False
        self._letters.later(lambda: self._letters.tell_approvers(asked))
        return True

    async def _used_up(self, client: LoginOrigin, token: str, browser: str) -> bool:
        taken = await self.links.take(token, browser)
        if taken.state is not LinkState.GOOD:
            return False
        self._audit.record("registration_verified", str(taken.about["address"]), client.ip)
        return True

    async def _judge(self, found: FoundLink) -> OpenedRegistration:
        if found.state is not LinkState.GOOD:
            return OpenedRegistration(found.state)
        address = str(found.about["address"])
        # Meanwhile somebody may have added the user, or the configuration may have changed.
        if await self._standing(address) is not Standing.NEW:
            return OpenedRegistration(LinkState.GONE)
        return OpenedRegistration(state=LinkState.GOOD, address=address, rd=str(found.about["rd"]))

    async def _standing(self, address: str) -> Standing:
        if not address:
            return Standing.INVALID
        if not self._config.takes(address.rpartition("@")[2]):
            return Standing.DOMAIN
        if address in self._reserved:
            return Standing.RESERVED
        same = [
            one for one in await self._directory.with_email(address) if mail_address(one.email) == address
        ]
        if (named := await self._directory.get(address)) is not None:
            same.append(named)
        if same:
            return Standing.DISABLED if all(one.disabled for one in same) else Standing.EXISTS
        row = await self._store.of_address(address, self._clock())
        return Standing(row.state) if row and row.state in ("waiting", "refused") else Standing.NEW

    def _user(self, address: str, name: str, phone: str) -> User:
        return User(address, name=_full_name(name), email=address, phone=phone, groups=self._config.groups)


def canonical(typed: str) -> str:
    """Return the spelling in which an address is registered, "" for what can't be.

    An address that usernames fold into another one (`weiß@` into `weiss@`) is none: two mailboxes would be one user.
    Nor is one whose letters are of several scripts, which can look like somebody else's.
    """
    try:
        address = mail_address(identifiers.email(typed))
        return address if address and identifiers.new_username(address) == address else ""
    except InvalidUser:
        return ""


def _full_name(text: str) -> str:
    """Return a name on one line. Administrators read it in mails: it holds no address that a program would make a link
    of. Raises InvalidUser.
    """
    try:
        name = identifiers.full_name(text)
    except InvalidUser as error:
        raise InvalidUser(error.detail, public=_BAD_NAME) from None
    if not 1 <= len(name) <= _LONGEST_NAME or _IN_NO_NAME & set(name) or "www." in name.casefold():
        raise InvalidUser("the name of somebody who registers", public=_BAD_NAME)
    return name
