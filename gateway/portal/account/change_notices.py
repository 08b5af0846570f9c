"""Tells of changes to an account: the audit log always, its owner by mail to the address from before the change."""

from gateway.authn.login_origin import LoginOrigin
from gateway.errors import SendFailed
from gateway.i18n.text import N_, Text
from gateway.messaging.notices import Notices
from gateway.messaging.sms.account_texts import SmsNotices
from gateway.messaging.sms.cool_off import CoolOff
from gateway.model import User
from gateway.observability.audit import Audit


class AccountNews:
    """Tells of changes, each in the places where it must be heard of."""

    def __init__(self, audit: Audit, notices: Notices, texts: SmsNotices, cool_off: CoolOff) -> None:
        self._audit, self._notices, self._texts, self._cool_off = audit, notices, texts, cool_off

    def tell(self, user: User, client: LoginOrigin, event: str, sentence: str, **data: object) -> None:
        """Tell of a change to an account. `user` as it was before. Neither `sentence` nor `data` may hold a secret or
        a whole number.
        """
        self._audit.record(event, user.username, client.ip, **data)
        brand = self._notices.brand
        text = N_(
            "Your account at %(brand)s was changed (IP address %(ip)s):\n\n%(what)s\n\n"
            "If this was you, there is nothing to do. If not, tell your administrator at once.\n",
            brand=brand,
            ip=client.ip,
            what=sentence,
        )
        subject = N_("%(brand)s: your account was changed", brand=brand)
        self._notices.mail(user.username, user.email, subject, text, about=event, lang=client.lang)

    def second_phone(self, user: User, id: str) -> None:
        """The first number hears of it by SMS: a thief may read the mailbox, too. `id` names this one notice."""
        self._notices.later(lambda: self._tell_first(user, id))

    async def _tell_first(self, user: User, id: str) -> None:
        """A first number that was changed just now may be the thief's as well: then the one before hears of it."""
        try:
            first = await self._cool_off.number(user)
        except SendFailed:  # the one before was removed
            return
        words = second_phone_added(self._notices.brand)
        await self._texts.send(user, first, words, id=id, about="second_phone")


def second_phone_added(brand: str) -> Text:
    """The text that goes to the first number when a second one was added."""
    return N_(
        "A second phone number was added to your %(brand)s account. "
        "If this was not you, tell your administrator at once.",
        brand=brand,
    )
