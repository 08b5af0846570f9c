"""Sends mails that nobody waits for: notices to users, and links whose sending must not show in how long a page took.

A mail that can't be sent is noted in the audit log; it never fails what it was about.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from html import escape

from gateway.errors import GatewayError, SendFailed
from gateway.i18n.catalogues import language
from gateway.messaging.addresses import mask_email
from gateway.messaging.senders.base import EmailSender
from gateway.observability.audit import Audit

log = logging.getLogger("gateway.notices")
_AT_ONCE = 1000


class Notices:
    """The background sender of one worker."""

    def __init__(
        self,
        sender: EmailSender,
        audit: Audit,
        brand: str,
        lang: str,
        *,
        again: Sequence[float] = (60.0, 300.0, 900.0),
    ) -> None:
        """`again` are seconds between tries of a mail that a server does not take for now (greylisting, 450)."""
        self._sender, self._audit, self.brand, self.lang = sender, audit, brand, lang
        self._again, self._closing = again, asyncio.Event()
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
        html = letter_html(text) if "://" in text else None
        for pause in (*self._again, None):
            try:
                await self._sender.send(to, subject, text, html)
            except SendFailed as failure:
                self._audit.record(
                    "send_failed",
                    username,
                    factor="notice",
                    about=about,
                    code=failure.code,
                    cause=failure.detail,
                )
                if not failure.retryable or pause is None or await self._ends_within(pause):
                    return
            else:
                self._audit.record("notice_sent", username, about=about, to=mask_email(to))
                return

    async def _ends_within(self, seconds: float) -> bool:
        """Wait; True if the worker ends meanwhile."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._closing.wait()
        return self._closing.is_set()

    async def finish(self) -> None:
        """Wait until all that was begun is done; what waits for another try is given up."""
        self._closing.set()
        while self._running:
            await asyncio.gather(*self._running)


_BUTTON = "display:inline-block;padding:12px 20px;border-radius:8px;background:#2f5bea;color:#fff;text-decoration:none"


def letter_html(text: str) -> str:
    """Return a letter as HTML: a line that is an address becomes a button, since programs break long lines."""
    lines = []
    for line in text.strip().splitlines():
        safe = escape(line, quote=True)
        link = line.startswith(("https://", "http://")) and " " not in line
        lines.append(f'<a href="{safe}" style="{_BUTTON}">{safe[:60]}</a>' if link else safe)
    return f'<div style="font-family:sans-serif;line-height:1.5">{"<br>".join(lines)}</div>'


async def _guarded(work: Callable[[], Awaitable[None]]) -> None:
    try:
        await work()
    except GatewayError as error:
        log.warning("background work failed: %s", error.detail)
