"""Sends mails that nobody waits for: notices to users, and links whose sending must not show in how long a page took.

A mail that can't be sent is noted in the audit log; it never fails what it was about.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from gateway.errors import GatewayError, SendFailed
from gateway.i18n.catalogues import language
from gateway.messaging.addresses import mask_email
from gateway.messaging.senders.base import EmailSender
from gateway.observability.audit import Audit

log = logging.getLogger("gateway.notices")
_AT_ONCE = 1000


class Notices:
    """The background sender of one worker."""

    def __init__(self, sender: EmailSender, audit: Audit, brand: str, lang: str) -> None:
        self._sender, self._audit, self.brand, self.lang = sender, audit, brand, lang
        self._running: set[asyncio.Task[None]] = set()

    def mail(self, username: str, to: str, subject: str, text: str, *, about: str, lang: str = "") -> None:
        """Send in the background; `about` names the mail in the audit log, `lang` is its reader's language if known."""
        if to:
            say = language(lang or self.lang).text
            subject, text = say(subject), say(text)
            self.later(lambda: self._send(username, to, subject, text, about))

    def later(self, work: Callable[[], Awaitable[None]]) -> bool:
        """Run `work` in the background. A flood of it is cut off rather than queued without end: then False."""
        if len(self._running) >= _AT_ONCE:
            log.warning("too many notices at once: one is dropped")
            return False
        task = asyncio.get_running_loop().create_task(_guarded(work))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return True

    async def _send(self, username: str, to: str, subject: str, text: str, about: str) -> None:
        try:
            await self._sender.send(to, subject, text)
        except SendFailed as failure:
            self._audit.record(
                "send_failed", username, factor="notice", about=about, code=failure.code, cause=failure.detail
            )
        else:
            self._audit.record("notice_sent", username, about=about, to=mask_email(to))

    async def finish(self) -> None:
        """Wait until all that was begun is done."""
        while self._running:
            await asyncio.gather(*self._running)


async def _guarded(work: Callable[[], Awaitable[None]]) -> None:
    try:
        await work()
    except GatewayError as error:
        log.warning("background work failed: %s", error.detail)
