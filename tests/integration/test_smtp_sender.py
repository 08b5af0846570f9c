"""SmtpSender against aiosmtpd: real SMTP, real TLS, real sign-in."""

import asyncio
import email
import email.policy
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from gateway.config.sections.sms_email import EmailSmtp
from gateway.errors import SendFailed
from gateway.messaging.senders.build import build_email
from gateway.messaging.senders.smtp import BAD_ADDRESS, SmtpSender
from tests.sending import (
    CODE,
    RecordedBackoff,
    everything_logged,
    everything_said,
    self_signed,
    silent_port,
)
from tests.waiting import free_port, leap, until

TO = "alice.wonder@example.com"
PASSWORD = "mail-secret-77d0"


@dataclass
class Sink:
    """`replies` are given to RCPT and DATA in place of success; "hang" never answers."""

    port: int = 0
    rcpt: list[str] = field(default_factory=list)
    data: list[str] = field(default_factory=list)
    envelopes: list[Envelope] = field(default_factory=list)
    connections: int = 0
    released: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.rcpt:
            return self.rcpt.pop(0)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        reply = self.data.pop(0) if self.data else "250 OK"
        if reply == "hang":
            await self.released.wait()
        elif reply.startswith("250"):
            self.envelopes.append(envelope)
        return reply

    def mail(self) -> EmailMessage:
        (envelope,) = self.envelopes
        content = envelope.content
        assert isinstance(content, bytes)
        return email.message_from_bytes(content, EmailMessage, policy=email.policy.default)  # type: ignore[arg-type]


def sign_in(server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
    right = isinstance(data, LoginPassword) and data == LoginPassword(b"gateway", PASSWORD.encode())
    return AuthResult(success=right, handled=right)


@asynccontextmanager
async def smtp_server(
    tls: ssl.SSLContext | None = None, implicit: bool = False, **options: Any
) -> AsyncIterator[Sink]:
    sink = Sink()
    loop = asyncio.get_running_loop()

    def protocol() -> SMTP:
        sink.connections += 1
        return SMTP(sink, loop=loop, tls_context=None if implicit else tls, hostname="sink", **options)

    server = await loop.create_server(protocol, "127.0.0.1", 0, ssl=tls if implicit else None)
    sink.port = server.sockets[0].getsockname()[1]
    try:
        yield sink
    finally:
        sink.released.set()
        server.close()


def config(port: int, **fields: object) -> EmailSmtp:
    plain = {"provider": "smtp", "host": "127.0.0.1", "tls": "none", "from": "Demo <login@example.org>"}
    return EmailSmtp.model_validate({**plain, "timeout": "60s", "port": port, **fields})


def sender(
    port: int, trust: ssl.SSLContext | None = None, recorded: RecordedBackoff | None = None, **fields: object
):
    backoff = (recorded or RecordedBackoff(retries=1)).backoff
    return SmtpSender(config(port, **fields), backoff, trust, clock=lambda: 1_800_000_000.0)


async def failure_of(port: int, *args: Any, to: str = TO, **fields: object) -> SendFailed:
    with pytest.raises(SendFailed) as failed:
        await sender(port, *args, **fields).send(to, "Your code", f"It is {CODE}")
    return failed.value


async def test_a_mail_arrives_with_both_parts_and_its_headers():
    async with smtp_server() as sink:
        id = await sender(sink.port).send(TO, "Your code für Demo", f"It is {CODE} – bye", f"<b>{CODE}</b>")
    assert sink.envelopes[0].rcpt_tos == [TO]
    assert sink.envelopes[0].mail_from == "login@example.org"
    mail = sink.mail()
    assert mail["Subject"] == "Your code für Demo"
    assert mail["From"] == "Demo <login@example.org>"
    assert mail["To"] == TO
    assert mail["Message-ID"] == id
    assert id.endswith("@example.org>")
    assert mail["Date"] == "Fri, 15 Jan 2027 08:00:00 -0000"
    assert mail["Auto-Submitted"] == "auto-generated"
    plain, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert plain is not None
    assert plain.get_content().strip() == f"It is {CODE} – bye"
    assert html is not None
    assert html.get_content().strip() == f"<b>{CODE}</b>"


async def test_without_html_the_mail_is_plain_text():
    async with smtp_server() as sink:
        await sender(sink.port).send(TO, "Your code", CODE)
    assert sink.mail().get_content_type() == "text/plain"


async def test_starttls_and_sign_in(tmp_path: Path):
    server, client = self_signed(tmp_path)
    options = {"require_starttls": True, "auth_required": True, "authenticator": sign_in}
    async with smtp_server(server, **options) as sink:
        await sender(sink.port, client, tls="starttls", username="gateway", password=PASSWORD).send(
            TO, "s", CODE
        )
    assert len(sink.envelopes) == 1


async def test_tls_from_the_first_byte(tmp_path: Path):
    server, client = self_signed(tmp_path)
    async with smtp_server(server, implicit=True) as sink:
        await sender(sink.port, client, tls="tls").send(TO, "s", CODE)
    assert len(sink.envelopes) == 1


async def test_a_server_without_starttls_gets_neither_password_nor_code():
    async with smtp_server(auth_require_tls=False, authenticator=sign_in) as sink:
        failure = await failure_of(sink.port, tls="starttls", username="gateway", password=PASSWORD)
    assert (failure.code, failure.retryable) == ("unsupported", False)
    assert sink.envelopes == []


@pytest.mark.parametrize("mode", ["starttls", "tls"])
async def test_an_untrusted_certificate_is_fatal(tmp_path: Path, mode: str):
    server, _ = self_signed(tmp_path)
    recorded = RecordedBackoff()
    async with smtp_server(server, implicit=mode == "tls") as sink:
        failure = await failure_of(sink.port, None, recorded, tls=mode)
    assert (failure.code, failure.retryable) == ("tls", False)
    assert (sink.envelopes, recorded.pauses) == ([], [])


async def test_a_wrong_password_is_tried_once(tmp_path: Path):
    server, client = self_signed(tmp_path)
    async with smtp_server(server, authenticator=sign_in) as sink:
        failure = await failure_of(
            sink.port, client, tls="starttls", username="gateway", password="wrong-secret"
        )
    assert (failure.code, failure.retryable) == ("535", False)
    assert "email.password" in failure.mend
    assert sink.connections <= 2  # aiosmtpd makes a second protocol object after STARTTLS
    assert "wrong-secret" not in everything_said(failure)


@pytest.mark.parametrize(("reply", "retryable"), [("550 no such user", False), ("450 greylisted", True)])
async def test_a_refused_recipient(reply: str, retryable: bool):
    async with smtp_server() as sink:
        sink.rcpt = [reply]
        failure = await failure_of(sink.port)
    assert (failure.code, failure.retryable) == (reply[:3], retryable)
    assert (failure.public == BAD_ADDRESS) is not retryable


@pytest.mark.parametrize(("reply", "retryable"), [("554 looks like spam", False), ("451 try later", True)])
async def test_a_refused_message_is_not_repeated(reply: str, retryable: bool):
    async with smtp_server() as sink:
        sink.data = [reply]
        failure = await failure_of(sink.port)
    assert (failure.code, failure.retryable, sink.connections) == (reply[:3], retryable, 1)


async def test_silence_after_the_message_is_not_repeated():
    async with smtp_server() as sink:
        sink.data = ["hang"]
        failing = asyncio.create_task(failure_of(sink.port))
        await until(lambda: not sink.data)
        leap(60)
        failure = await failing
    assert (failure.code, failure.retryable, sink.connections) == ("timeout", True, 1)


async def test_a_refused_connection_is_repeated():
    recorded = RecordedBackoff(retries=1)
    failure = await failure_of(free_port(), None, recorded)
    assert (failure.code, failure.retryable, len(recorded.pauses)) == ("connect", True, 1)


async def test_a_silent_port_ends_in_a_timeout():
    with silent_port() as port:
        failure = await failure_of(port, timeout="200ms")  # short: nobody takes the connection
    assert failure.retryable
    assert failure.code in {"timeout", "connect"}


@pytest.mark.parametrize(
    "to",
    [
        "a@example.com, b@example.com",
        "a@example.com\r\nBcc: b@example.com",
        "a@example.com>\r\nRCPT TO:<b@example.com",
        "Alice <a@example.com>",
        "alice",
        "",
        "@example.com",
    ],
)
async def test_anything_but_one_plain_address_is_refused_before_connecting(to: str):
    async with smtp_server() as sink:
        failure = await failure_of(sink.port, to=to)
    assert (failure.code, sink.connections) == ("address", 0)


async def test_a_line_break_in_the_subject_starts_no_header():
    async with smtp_server() as sink:
        await sender(sink.port).send(TO, "Code\r\nBcc: eve@example.com", CODE)
    assert sink.mail()["Bcc"] is None
    assert sink.mail()["Subject"] == "Code Bcc: eve@example.com"


async def test_a_server_that_hangs_blocks_nobody_else():
    async with smtp_server() as sink:
        sink.data = ["hang"]
        mailer = sender(sink.port)
        stuck = asyncio.create_task(mailer.send(TO, "s", "first"))
        await until(lambda: not sink.data)
        await mailer.send(TO, "s", "second")
        assert not stuck.done()
        stuck.cancel()
        await asyncio.gather(stuck, return_exceptions=True)


async def test_nothing_secret_is_logged_or_raised(caplog: pytest.LogCaptureFixture):
    caplog.set_level(0, "gateway")
    caplog.set_level(0, "aiosmtplib")
    async with smtp_server() as sink:
        sink.rcpt = [f"550 <{TO}> is unknown here"]
        failure = await failure_of(sink.port)
    ours = [r for r in caplog.records if not r.name.startswith("mail")]  # "mail.*" is the sink's own log
    caplog.handler.records[:] = ours
    said = everything_said(failure) + everything_logged(caplog)
    for secret in (CODE, "alice.wonder", PASSWORD):
        assert secret not in said


async def test_build_makes_a_mailer():
    async with smtp_server() as sink:
        mailer = build_email(config(sink.port))
        await mailer.send(TO, "s", CODE)
        await mailer.close()
    assert len(sink.envelopes) == 1
