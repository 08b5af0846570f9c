"""Sends texts that hold no code: news about the account, to the number that somebody else can't have changed.

The letters are those of GSM 03.38, so that a text doesn't cost double.
"""

from gateway.errors import SendFailed
from gateway.i18n.catalogues import language
from gateway.i18n.text import Text
from gateway.messaging.notices import Notices
from gateway.messaging.senders.base import CodeService, SmsProvider
from gateway.messaging.sms.dispatch import SmsDispatch
from gateway.messaging.sms.outgoing import OutgoingSms
from gateway.messaging.sms.spending import Channel
from gateway.model import User
from gateway.observability.audit import Audit


class SmsNotices:
    """Sends the notices, within the budgets of codes."""

    def __init__(self, provider: SmsProvider, dispatch: SmsDispatch, notices: Notices, audit: Audit) -> None:
        self._provider, self._dispatch, self._notices, self._audit = provider, dispatch, notices, audit

    async def send(self, user: User, phone: str, words: Text, *, id: str, about: str) -> None:
        """Send `words` to `phone` (E.164). `id` names this one notice, `about` its kind in the audit log.

        What can't be sent is noted there.
        """
        sender = self._provider.sender
        if isinstance(sender, CodeService):  # it sends codes and nothing else
            return
        text = language(self._notices.lang).text(words)
        outgoing = OutgoingSms(
            username=user.username, phone=phone, session=f"notice:{id}", ip="127.0.0.1", text_only=True
        )
        try:
            admission = await self._dispatch.admit(outgoing, Channel.SMS)
            async with self._dispatch.sending(admission) as message:
                message.sid = await sender.send(phone, text, message.id)
        except SendFailed as failure:
            self._audit.record(
                "send_failed",
                user.username,
                factor="notice",
                about=about,
                code=failure.code,
                cause=failure.detail,
            )
