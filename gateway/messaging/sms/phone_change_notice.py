"""Tells the old number, and the mail address, that a user's number was changed, whoever changed it and how.

Each worker hears of a changed user; one of them sends. The old number is the one that the change did not reach.
"""

import logging

from gateway.clock import Clock
from gateway.config.sections.sms_email import SmsBase
from gateway.directory.base import Directory
from gateway.errors import GatewayError
from gateway.i18n.text import N_, Text
from gateway.messaging.addresses import mask_phone
from gateway.messaging.notices import Notices
from gateway.messaging.sms.account_texts import SmsNotices
from gateway.model import User
from gateway.observability.audit import Audit
from gateway.stores.protocols.core import Change
from gateway.stores.protocols.ledger import Ledger
from gateway.stores.protocols.sms import PhoneChange, PhoneChanges

log = logging.getLogger("gateway.notices")

_RECENT = 3600.0
_DAY = 86400.0


class ChangeNotice:
    """Sends the notices of changed numbers."""

    def __init__(
        self,
        config: SmsBase,
        directory: Directory,
        changes: PhoneChanges,
        texts: SmsNotices,
        notices: Notices,
        ledger: Ledger,
        audit: Audit,
        clock: Clock,
    ) -> None:
        self._config, self._directory, self._changes = config, directory, changes
        self._texts, self._notices = texts, notices
        self._ledger, self._audit, self._clock = ledger, audit, clock
        self._waiting: dict[str, None] = {}
        self._looking = False

    def heard(self, change: Change) -> None:
        """Look into a change; to be called with every one that a worker hears of.

        One after the other: an import changes thousands of users at once, and none of them must drop another.
        """
        if change.kind != "user":
            return
        self._waiting[change.subject] = None
        if not self._looking:
            self._looking = self._notices.later(self._look)

    async def _look(self) -> None:
        try:
            while self._waiting:
                username = next(iter(self._waiting))
                del self._waiting[username]
                try:
                    await self._tell(username)
                except GatewayError as error:
                    log.warning(
                        "whether the number of %s was changed is not known: %s", username, error.detail
                    )
        finally:
            self._looking = False

    async def _tell(self, username: str) -> None:
        recent = await self._changes.of(username, self._clock() - _RECENT)
        user = await self._directory.get(username) if any(one.before for one in recent) else None
        for change in recent:
            if user and change.before and await self._ledger.claim_once(f"phone-told:{change.id}", _DAY):
                await self._tell_of(user, change)

    async def _tell_of(self, user: User, change: PhoneChange) -> None:
        words = notice(
            self._notices.brand, user.phone, cools=bool(self._config.cool_off) and not change.waived
        )
        self._audit.record(
            "phone_changed", user.username, before=mask_phone(change.before), waived=change.waived
        )
        subject = N_("%(brand)s: your phone number was changed", brand=self._notices.brand)
        self._notices.mail(user.username, user.email, subject, words, about="phone_changed")
        await self._texts.send(user, change.before, words, id=str(change.id), about="phone_changed")


def notice(brand: str, phone: str, *, cools: bool) -> Text:
    """Return the text. `phone` is the new number ("" = removed); `cools` says whether codes still go to the old one.

    It holds no link: people shall not learn to follow links in such messages.
    """
    if not phone:
        return N_(
            "The phone number of your %(brand)s account was removed. "
            "If this was not you, tell your administrator at once.",
            brand=brand,
        )
    if cools:
        return N_(
            "The phone number of your %(brand)s account was changed to %(number)s; for now, codes still come here. "
            "If this was not you, tell your administrator at once.",
            brand=brand,
            number=mask_phone(phone, dot="*"),
        )
    return N_(
        "The phone number of your %(brand)s account was changed to %(number)s. "
        "If this was not you, tell your administrator at once.",
        brand=brand,
        number=mask_phone(phone, dot="*"),
    )
