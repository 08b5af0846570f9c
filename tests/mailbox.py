"""A real SMTP server on loopback whose mailbox tests read."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email import message_from_bytes, policy
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session

from tests.waiting import until


class Mailbox:
    """`mails` are pairs of recipient and text, oldest first."""

    def __init__(self) -> None:
        self.mails: list[tuple[str, str]] = []

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        assert isinstance(envelope.content, bytes)
        mail = message_from_bytes(envelope.content, policy=policy.default)
        body = mail.get_body(("plain",))
        assert body is not None
        text = f"{mail['Subject']}\n{body.get_content()}"
        self.mails.extend((to, text) for to in envelope.rcpt_tos)
        return "250 OK"

    async def wait(self, count: int) -> list[str]:
        """The texts once there are `count` of them."""
        await until(lambda: len(self.mails) >= count, f"{count} mails")
        assert len(self.mails) == count, self.mails
        return [text for _, text in self.mails]


def link_in(text: str) -> str:
    """The path and query of the link in a mail."""
    found = re.search(r"https?://[^/\s]+(/\S+)", text)
    assert found, text
    return found[1]


@asynccontextmanager
async def running_mailbox() -> AsyncIterator[tuple[Mailbox, dict[str, Any]]]:
    """The mailbox and the `email` section that delivers there."""
    mailbox, loop = Mailbox(), asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(mailbox, loop=loop, hostname="sink"), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    section = {
        "provider": "smtp",
        "host": "127.0.0.1",
        "port": port,
        "tls": "none",
        "from": "gw@gateway.test",
    }
    try:
        yield mailbox, section
    finally:
        server.close()
