"""Signing in by a mailed link, without HTTP: a mailbox as first factor, in the browser that asked.

The link alone opens nothing. It counts once, for some minutes, in the browser that has the cookie of the question, and
only when a form is sent there: programs that look at mails use nothing up. No answer tells whether an account exists.
A second factor is due as after a password, and codes to the same mailbox are none (`policy/decide.py`).
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass

from gateway.authn.bound_links import BoundLinks, FoundLink, LinkState
from gateway.authn.login import SignIn
from gateway.authn.login_origin import LoginOrigin
from gateway.authn.password_check import PasswordCheck, as_counted
from gateway.authn.password_reset import find, reset_person
from gateway.directory.base import Directory
from gateway.i18n.text import N_, NN_, Text
from gateway.messaging.notices import Notices
from gateway.model import User
from gateway.observability.audit import Audit
from gateway.rate_limits import (
    LINKS_PER_IP,
    SIGN_IN_LINKS_IN_ALL,
    SIGN_IN_LINKS_PER_DEVICE,
    SIGN_IN_LINKS_PER_IP,
    SIGN_IN_LINKS_PER_TARGET,
    RateLimits,
)
from gateway.stores.protocols.ledger import Ledger


@dataclass(frozen=True, slots=True)
class LinkRequest:
    """What came with the question for a link: of which browser (a secret), whereto, and whether the session is kept."""

    browser: str
    rd: str
    keep: bool


@dataclass(frozen=True, slots=True)
class OpenedLink:
    """A link that was looked at, or used. `user` is None unless it is good here."""

    state: LinkState
    user: User | None = None
    rd: str = "/"
    keep: bool = False


class SignInLinks:
    """Mails links, and takes them back. `base` is the public address of our pages, such as
    https://example.com/_auth; `lifetime` is in seconds.
    """

    def __init__(
        self,
        directory: Directory,
        signin: SignIn,
        ledger: Ledger,
        limits: RateLimits,
        passwords: PasswordCheck,
        audit: Audit,
        notices: Notices,
        *,
        base: str,
        lifetime: float,
        needs_password: bool,
        token: Callable[[], str] = secrets.token_urlsafe,
    ) -> None:
        """`needs_password`: who has none yet (invited, or of a provider) gets no link."""
        self._directory, self._signin = directory, signin
        self._limits, self._passwords, self._audit = limits, passwords, audit
        self._notices, self._base, self.lifetime = notices, base, lifetime
        self._needs_password = needs_password
        self._links = BoundLinks("email-link", ledger, lifetime=lifetime, token=token)

    async def request(self, client: LoginOrigin, name: str, asked: LinkRequest) -> None:
        """Mail a link to the user whom `name` means, in the background. Raises TooManyAttempts, whether or not there
        is one.
        """
        wanted = as_counted(name)
        await self._limits.spend(SIGN_IN_LINKS_PER_IP, client.network)
        # The user's own remembered device has asks of its own: a stranger can't spend them.
        if device := await self._signin.own_device(client, wanted):
            await self._limits.spend(SIGN_IN_LINKS_PER_DEVICE, device)
        else:
            await self._limits.spend(SIGN_IN_LINKS_PER_TARGET, wanted)
        self._notices.later(lambda: self._send(client, wanted, asked))

    async def _send(self, client: LoginOrigin, wanted: str, asked: LinkRequest) -> None:
        user = await find(self._directory, wanted)
        # What nobody is called may be a password, typed into the wrong field.
        shown = user.username if user else self._passwords.fingerprint(wanted)
        self._audit.record("email_link_asked", shown, client.ip)
        if user is None or not user.email or not self._may(user):
            return
        await self._limits.spend(SIGN_IN_LINKS_IN_ALL, "")  # counts mails, not names that somebody made up
        about = {"person": reset_person(user), "rd": asked.rd, "keep": asked.keep}
        token = await self._links.issue(asked.browser, about)
        subject = N_("%(brand)s: your sign-in link", brand=self._notices.brand)
        text = _letter(self._notices.brand, f"{self._base}/email-link?token={token}", self.lifetime)
        self._notices.mail(user.username, user.email, subject, text, about="email_link", lang=client.lang)

    async def look(self, token: str, browser: str) -> OpenedLink:
        """Return what the link is worth in the browser with this secret; looking uses nothing up."""
        return await self._judge(await self._links.look(token, browser))

    async def take(self, client: LoginOrigin, token: str, browser: str) -> OpenedLink:
        """Use the link up, if it is good here: of two takers one gets it. Raises TooManyAttempts."""
        await self._limits.spend(LINKS_PER_IP, client.network)
        seen = await self.look(token, browser)
        if seen.state is LinkState.GOOD:
            return await self._judge(await self._links.take(token, browser))
        if seen.state is LinkState.ELSEWHERE:
            self._audit.record("email_link_elsewhere", "", client.ip)
        return seen

    async def _judge(self, found: FoundLink) -> OpenedLink:
        if found.state is not LinkState.GOOD:
            return OpenedLink(found.state)
        person, kept = str(found.about["person"]), found.about
        user = await self._directory.get(person.partition(" ")[0])
        # A new password or mail address ends it, and whoever has the name later is somebody else.
        if user is None or reset_person(user) != person or not self._may(user):
            return OpenedLink(LinkState.GONE)
        return OpenedLink(state=LinkState.GOOD, user=user, rd=str(kept["rd"]), keep=kept["keep"] is True)

    def _may(self, user: User) -> bool:
        return not user.disabled and bool(user.password_hash or not self._needs_password)


def _letter(brand: str, link: str, lifetime: float) -> Text:
    return NN_(
        "Somebody, probably you, wants to sign in at %(brand)s.\n\n"
        "Open this link in the browser in which you asked for it:\n%(link)s\n\n"
        "It works once, for %(count)s minute. If it was not you, there is nothing to do.\n",
        "Somebody, probably you, wants to sign in at %(brand)s.\n\n"
        "Open this link in the browser in which you asked for it:\n%(link)s\n\n"
        "It works once, for %(count)s minutes. If it was not you, there is nothing to do.\n",
        round(lifetime / 60),
        brand=brand,
        link=link,
    )
