"""The mails of registration: to who wants an account, and to the administrators who decide about that."""

from collections.abc import Awaitable, Callable, Sequence

from gateway.directory.base import Directory
from gateway.i18n.text import N_, NN_, Text
from gateway.messaging.notices import Notices
from gateway.rate_limits import REGISTRATION_NOTICES, RateLimits
from gateway.stores.protocols.registrations import Registration

_MOST_TOLD = 100
"""Administrators who get a mail about each request."""


class Letters:
    """Sends them, in the background. `base` is the public address of our pages; `approvers` are groups."""

    def __init__(
        self,
        *,
        notices: Notices,
        directory: Directory,
        limits: RateLimits,
        base: str,
        approvers: Sequence[str],
        can_reset: bool,
    ) -> None:
        self._notices, self._directory, self._limits = notices, directory, limits
        self._base, self._approvers, self._can_reset = base, approvers, can_reset

    def later(self, work: Callable[[], Awaitable[None]]) -> None:
        """Run `work` in the background, so that it does not show in how long a page took."""
        self._notices.later(work)

    def link(self, address: str, token: str, lifetime: float, *, lang: str) -> None:
        """Mail the link with which an account is made; it is good for `lifetime` seconds."""
        brand = self._notices.brand
        subject = N_("%(brand)s: make your account", brand=brand)
        url = f"{self._base}/register?token={token}"
        text = _link_letter(brand, url, lifetime)
        self._notices.mail(address, address, subject, text, about="registration", lang=lang)

    def exists(self, address: str, *, lang: str) -> None:
        """Tell who has an account already."""
        brand, login = self._notices.brand, f"{self._base}/login"
        text = N_(
            "Somebody, probably you, wants to make an account at %(brand)s with this address. There is one already."
            "\n\nSign in here:\n%(link)s\n\nIf it was not you, there is nothing to do.\n",
            brand=brand,
            link=login,
        )
        reset = f"{self._base}/reset"
        if self._can_reset:
            text = N_(
                "Somebody, probably you, wants to make an account at %(brand)s with this address. There is one "
                "already.\n\nSign in here:\n%(link)s\n\nForgot your password? Set a new one here:\n%(reset)s\n\n"
                "If it was not you, there is nothing to do.\n",
                brand=brand,
                link=login,
                reset=reset,
            )
        subject = N_("%(brand)s: you have an account", brand=brand)
        self._notices.mail(address, address, subject, text, about="registration_exists", lang=lang)

    def waits(self, address: str, *, lang: str) -> None:
        """Tell who has asked already."""
        brand = self._notices.brand
        subject = N_("%(brand)s: your request waits", brand=brand)
        text = N_(
            "Your request for an account at %(brand)s waits for an administrator. You will get a mail.\n",
            brand=brand,
        )
        self._notices.mail(address, address, subject, text, about="registration_waits", lang=lang)

    async def tell_approvers(self, asked: Registration) -> None:
        """Mail those who may decide. A flood of requests ends in the console's list. Raises TooManyAttempts."""
        await self._limits.spend(REGISTRATION_NOTICES, "")
        brand, console = self._notices.brand, f"{self._base}/admin/registrations"
        subject = N_("%(brand)s: somebody asks for an account", brand=brand)
        text = N_(
            "%(name)s (%(address)s) asks for an account at %(brand)s.\n\nDecide in the console:\n%(link)s\n",
            name=asked.name,
            address=asked.address,
            brand=brand,
            link=console,
        )
        for user in await self._directory.in_groups(self._approvers, limit=_MOST_TOLD):
            self._notices.mail(user.username, user.email, subject, text, about="registration_waiting")


def _link_letter(brand: str, link: str, lifetime: float) -> Text:
    return NN_(
        "Somebody, probably you, wants to make an account at %(brand)s.\n\n"
        "Open this link in the browser in which you asked for it:\n%(link)s\n\n"
        "It works once, for %(count)s minute. If it was not you, there is nothing to do.\n",
        "Somebody, probably you, wants to make an account at %(brand)s.\n\n"
        "Open this link in the browser in which you asked for it:\n%(link)s\n\n"
        "It works once, for %(count)s minutes. If it was not you, there is nothing to do.\n",
        round(lifetime / 60),
        brand=brand,
        link=link,
    )
