"""Mail through servers that differ: their own greeting, AUTH LOGIN step by step, letters beyond ASCII, greylisting."""

from typing import Any

import pytest
from aiosmtpd.smtp import SMTP

from gateway.errors import SendFailed
from gateway.messaging.notices import Notices, letter_html
from tests.integration.test_smtp_sender import PASSWORD, failure_of, sender, sign_in, smtp_server
from tests.waiting import until

LINK = "https://login.example.test/_auth/reset?token=" + "x" * 90


class Recorded:
    """An audit log and a mail server that says no as often as told."""

    def __init__(self, failures: int, *, retryable: bool = True) -> None:
        self.left, self.retryable = failures, retryable
        self.events: list[str] = []
        self.sent: list[tuple[str, str | None]] = []

    def record(self, event: str, *_: object, **__: object) -> None:
        self.events.append(event)

    async def send(self, to: str, subject: str, text: str, html: str | None = None) -> str:
        if self.left:
            self.left -= 1
            raise SendFailed("mail: refused (450)", code="450", retryable=self.retryable)
        self.sent.append((text, html))
        return ""


def notices(recorded: Recorded, again: tuple[float, ...] = (0, 0, 0)) -> Notices:
    return Notices(recorded, recorded, "Demo", "en", again=again)  # type: ignore[arg-type]


async def test_the_server_is_greeted_with_the_configured_name(monkeypatch: pytest.MonkeyPatch) -> None:
    greeted: list[str] = []
    before = SMTP.smtp_EHLO

    async def noted(self: SMTP, hostname: str) -> None:
        greeted.append(hostname)
        await before(self, hostname)

    monkeypatch.setattr(SMTP, "smtp_EHLO", noted)
    async with smtp_server() as sink:
        await sender(sink.port, ehlo="login.example.test").send("a@example.com", "s", "t")
    assert greeted == ["login.example.test"]


async def test_a_server_that_wants_auth_login_step_by_step_gets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    before = SMTP.smtp_AUTH

    async def strict(self: SMTP, arg: str) -> None:
        if arg.upper() != "LOGIN":
            await self.push("501 no initial response here")
            return
        await before(self, arg)

    monkeypatch.setattr(SMTP, "smtp_AUTH", strict)
    options: dict[str, Any] = {
        "authenticator": sign_in,
        "auth_require_tls": False,
        "auth_exclude_mechanism": ["PLAIN"],
    }
    async with smtp_server(**options) as sink:
        await sender(sink.port, username="gateway", password=PASSWORD).send("a@example.com", "s", "t")
        assert len(sink.envelopes) == 1


async def test_letters_beyond_ascii_arrive_where_the_server_takes_them() -> None:
    async with smtp_server(enable_SMTPUTF8=True) as sink:
        await sender(sink.port).send("jörg@bücher.example", "s", "t")
        await sender(sink.port).send("info@bücher.example", "s", "t")
    assert [one.rcpt_tos for one in sink.envelopes] == [
        ["jörg@xn--bcher-kva.example"],
        ["info@xn--bcher-kva.example"],
    ]


async def test_where_it_does_not_the_failure_says_so_and_domains_still_work() -> None:
    async with smtp_server() as sink:
        failure = await failure_of(sink.port, to="jörg@example.com")
        assert (failure.code, failure.retryable) == ("smtputf8", False)
        await sender(sink.port).send("info@bücher.example", "s", "t")
    assert sink.envelopes[0].rcpt_tos == ["info@xn--bcher-kva.example"]


async def test_a_mail_that_is_not_taken_for_now_is_sent_again() -> None:
    recorded = Recorded(2)
    box = notices(recorded)
    box.mail("alice", "a@example.com", "s", "t", about="reset")
    await until(lambda: recorded.sent, "the mail is sent")
    await box.finish()
    assert recorded.events == ["send_failed", "send_failed", "notice_sent"]


@pytest.mark.parametrize(("retryable", "pause"), [(False, 0.0), (True, 3600.0)])
async def test_a_mail_that_is_refused_or_whose_worker_ends_is_given_up(retryable: bool, pause: float) -> None:
    recorded = Recorded(9, retryable=retryable)
    box = notices(recorded, (pause,))
    box.mail("alice", "a@example.com", "s", "t", about="reset")
    await box.finish()
    assert recorded.events == ["send_failed"]


async def test_a_letter_with_a_link_has_a_button_beside_its_text() -> None:
    recorded = Recorded(0)
    box = notices(recorded)
    box.mail("alice", "a@example.com", "s", f"Set it here:\n{LINK}\n\n<b>", about="reset")
    box.mail("alice", "a@example.com", "s", "no link", about="other")
    await box.finish()
    (text, html), (_, none) = recorded.sent
    assert LINK in text
    assert html is not None
    assert f'<a href="{LINK}"' in html
    assert "&lt;b&gt;" in html
    assert none is None
    assert "<script" not in letter_html("https://a.test/<script>")
