"""Setting a new password by a mailed link, without HTTP (security rule 10: the mailbox alone is not enough).

The link opens a ticket; a second factor other than mail proves it; only then is a new password taken. Each step is
bound to the browser that began it. No answer tells whether an account exists.
"""

import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256

from gateway.authn.factors.base import Outcome, Prompt, Resend
from gateway.authn.login import SignIn
from gateway.authn.login_origin import LoginOrigin
from gateway.authn.one_time_links import Links
from gateway.authn.password_check import PasswordCheck, as_counted
from gateway.clock import Clock
from gateway.directory.base import Directory, WritableDirectory
from gateway.i18n.text import N_, Text
from gateway.messaging.notices import Notices
from gateway.model import Decision, Principal, SessionRecord, User, Verdict
from gateway.observability.audit import Audit
from gateway.policy.decide import SECOND_FACTORS
from gateway.rate_limits import (
    LINKS_PER_IP,
    PASSWORD_FAILURES,
    PASSWORD_PER_USER,
    RESETS_IN_ALL,
    RESETS_PER_DEVICE,
    RESETS_PER_IP,
    RESETS_PER_TARGET,
    RateLimits,
)
from gateway.stores.protocols.core import SessionStore
from gateway.stores.protocols.ledger import Ledger

LIFETIME = 900.0
ACCEPTED = Decision(
    verdict=Verdict.STEP_UP,
    rule="portal",
    reason="reset",
    factors=frozenset(SECOND_FACTORS - {"email", "approval"}),
)


@dataclass(frozen=True, slots=True)
class Ticket:
    """A reset under way. `id` is what the form carries, `browser` the csrf token it is bound to."""

    id: str
    browser: str
    user: User
    proven: bool

    @property
    def digest(self) -> str:
        return sha256(f"{self.id}\0{self.browser}".encode()).hexdigest()


class Resets:
    """Leads a user who has forgotten the password to a new one. `base` is the public address of our pages, such as
    https://example.com/_auth.
    """

    def __init__(
        self,
        directory: WritableDirectory,
        signin: SignIn,
        sessions: SessionStore,
        ledger: Ledger,
        limits: RateLimits,
        passwords: PasswordCheck,
        audit: Audit,
        notices: Notices,
        clock: Clock,
        *,
        base: str,
        token: Callable[[], str] = secrets.token_urlsafe,
    ) -> None:
        self._directory, self._signin, self._sessions, self._ledger = directory, signin, sessions, ledger
        self._limits, self._passwords, self._audit = limits, passwords, audit
        self._notices, self._clock = notices, clock
        self._base, self._token = base, token
        self._links = Links("reset", ledger, clock, lifetime=LIFETIME, token=token)

    async def request(self, client: LoginOrigin, name: str) -> None:
        """Mail a link to the user whom `name` means, in the background. Raises TooManyAttempts, whether or not there
        is one.
        """
        wanted = as_counted(name)
        await self._limits.spend(RESETS_PER_IP, client.network)
        # The user's own remembered device has asks of its own: a stranger can't spend them.
        if device := await self._signin.own_device(client, wanted):
            await self._limits.spend(RESETS_PER_DEVICE, device)
        else:
            await self._limits.spend(RESETS_PER_TARGET, wanted)
        self._notices.later(lambda: self._send(client, wanted))

    async def _send(self, client: LoginOrigin, wanted: str) -> None:
        user = await find(self._directory, wanted)
        # What nobody is called may be a password, typed into the wrong field.
        self._audit.record(
            "reset_asked", user.username if user else self._passwords.fingerprint(wanted), client.ip
        )
        if user is None or user.disabled or not user.email or not user.password_hash:
            return
        await self._limits.spend(RESETS_IN_ALL, "")  # counts mails, not names that somebody made up
        brand, link = self._notices.brand, ""
        if await self._signin.usable_factors(user, ACCEPTED):
            link = f"{self._base}/reset?token={await self._links.issue(reset_person(user))}"
        subject = N_("%(brand)s: new password", brand=brand)
        self._notices.mail(
            user.username, user.email, subject, _letter(brand, link), about="reset", lang=client.lang
        )

    async def works(self, token: str) -> bool:
        """Whether a link still leads on; looking uses nothing up."""
        person = await self._links.look(token)
        user = await self._directory.get(person.partition(" ")[0]) if person else None
        return user is not None and not user.disabled and reset_person(user) == person

    async def open(self, client: LoginOrigin, token: str, browser: str) -> Ticket | None:
        """Use the link up and begin a reset; None if it works no more. Raises TooManyAttempts."""
        await self._limits.spend(LINKS_PER_IP, client.network)
        person = await self._links.take(token)
        user = await self._directory.get(person.partition(" ")[0]) if person else None
        if user is None or user.disabled or reset_person(user) != person:
            return None
        ticket = Ticket(id=self._token(), browser=browser, user=user, proven=False)
        await self._keep(ticket)
        self._audit.record("reset_opened", user.username, client.ip)
        return ticket

    async def ticket(self, id: str, browser: str) -> Ticket | None:
        """Return the reset `id` if this browser has it under way."""
        found = Ticket(id=id, browser=browser, user=User(""), proven=False)
        value = await self._ledger.get(_slot(found))
        state = json.loads(value) if value else {}
        user = await self._directory.get(state["user"]) if state else None
        # A password or mail address set meanwhile, here or elsewhere, ends what was begun before it.
        if user is None or user.disabled or reset_person(user) != state["person"]:
            return None
        return Ticket(id=id, browser=browser, user=user, proven=state["proven"] is True)

    async def factors(self, ticket: Ticket) -> list[str]:
        """Return the second factors that may prove this reset."""
        return await self._signin.usable_factors(ticket.user, ACCEPTED)

    async def begin(self, client: LoginOrigin, ticket: Ticket, factor: str, resend: Resend | None) -> Prompt:
        """Start (or describe) a challenge for the second factor. Raises SendFailed, TooManyAttempts."""
        return await self._signin.begin(client, self._stand_in(ticket), factor, resend=resend)

    async def prove(
        self, client: LoginOrigin, ticket: Ticket, factor: str, form: Mapping[str, str]
    ) -> tuple[Outcome, Ticket]:
        """Judge the second factor; return the outcome, and the ticket to go on with: a proven one has a new id.

        Raises TooManyAttempts.
        """
        outcome = await self._signin.judge(client, self._stand_in(ticket), factor, form)
        if outcome is Outcome.EXHAUSTED:
            await self._ledger.delete(_slot(ticket))
        if outcome is not Outcome.RIGHT:
            return outcome, ticket
        await self._ledger.delete(_slot(ticket))
        proven = Ticket(id=self._token(), browser=ticket.browser, user=ticket.user, proven=True)
        await self._keep(proven)
        return outcome, proven

    async def finish(self, client: LoginOrigin, ticket: Ticket, password: str) -> bool:
        """Set the password, end all sessions and remembered devices, tell the user.

        False if somebody was faster, or the second factor is missing. Raises WeakPassword.
        """
        name = ticket.user.username
        await self._directory.check_password(password, ticket.user)
        if not ticket.proven or await self._ledger.take(_slot(ticket)) is None:
            return False
        await self._directory.set_password(name, password)
        await self._sessions.delete_for_user(name)
        await self._limits.forget(name, PASSWORD_PER_USER, PASSWORD_FAILURES)
        self._audit.record("password_reset", name, client.ip)
        brand = self._notices.brand
        subject = N_("%(brand)s: your password was changed", brand=brand)
        text = N_(
            "Your password at %(brand)s was just changed by a link from a mail and your second factor "
            "(IP address %(ip)s).\n\nAll your sessions and remembered devices were signed out. "
            "If it was not you, tell your administrator at once.\n",
            brand=brand,
            ip=client.ip,
        )
        self._notices.mail(name, ticket.user.email, subject, text, about="password_reset", lang=client.lang)
        return True

    async def _keep(self, ticket: Ticket) -> None:
        user = ticket.user
        state = {"user": user.username, "person": reset_person(user), "proven": ticket.proven}
        await self._ledger.put(_slot(ticket), json.dumps(state).encode(), LIFETIME)

    def _stand_in(self, ticket: Ticket) -> Principal:
        """What challenges are bound to: this ticket, which is no session and opens nothing."""
        now = self._clock()
        session = SessionRecord(
            sid=f"reset:{ticket.digest}",
            username=ticket.user.username,
            amr=(),
            proven_at={},
            created_at=now,
            last_seen=now,
            expires_at=now + LIFETIME,
        )
        return Principal(ticket.user, session)


async def find(directory: Directory, wanted: str) -> User | None:
    """Find a user by username, or by a mail address that only one user has."""
    user = await directory.get(wanted)
    if user is not None or "@" not in wanted:
        return user
    same = [one for one in await directory.with_email(wanted) if as_counted(one.email) == wanted]
    return same[0] if len(same) == 1 else None


def reset_person(user: User) -> str:
    """Whom a link is for, as they are now: it ends with a change of password or mail address, and is not for whoever
    has the name later. Usernames have no spaces.
    """
    facts = f"{user.created_at!r} {user.password_changed_at!r} {user.email}"
    return f"{user.username} {sha256(facts.encode()).hexdigest()}"


def _slot(ticket: Ticket) -> str:
    return f"reset:{ticket.digest}"


def _letter(brand: str, link: str) -> Text:
    """Without a link for who has no second factor."""
    if not link:
        return N_(
            "Somebody, probably you, wants a new password at %(brand)s.\n\n"
            "Your account has no second factor to confirm that with. Please ask your administrator for a new "
            "password.\nIf it was not you, there is nothing to do.\n",
            brand=brand,
        )
    return N_(
        "Somebody, probably you, wants a new password at %(brand)s.\n\n"
        "Set it here; you will need your second factor:\n%(link)s\n\n"
        "The link works once, for 15 minutes. If it was not you, there is nothing to do.\n",
        brand=brand,
        link=link,
    )
