"""Signing in with a code by mail, through a real SMTP server."""

import email
import email.policy
import re
from pathlib import Path

from tests.integration.test_smtp_sender import Sink, smtp_server
from tests.rig import running_gateway


def codes_in(sink: Sink) -> list[str]:
    """The codes in the mails that arrived, oldest first; none may stand in a subject."""
    found = []
    for envelope in sink.envelopes:
        assert isinstance(envelope.content, bytes)
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        assert not re.search(r"\d{6}", str(mail["Subject"]))
        body = mail.get_body(("plain",))
        assert body is not None
        found += re.findall(r"^(\d{6}) is your", body.get_content(), re.MULTILINE)
    return found


async def test_a_code_by_mail_signs_in_once_and_a_resent_one_replaces_it(tmp_path: Path) -> None:
    async with smtp_server() as sink:
        mail = {
            "provider": "smtp",
            "host": "127.0.0.1",
            "port": sink.port,
            "tls": "none",
            "from": "login@example.org",
        }
        async with running_gateway(tmp_path, email=mail) as rig, rig.browser() as browser:
            await rig.add_user(phone="", email="alice@example.com")
            await browser.password()
            token = await browser.token("/_auth/verify")
            rig.clock.advance(31)
            await browser.post("/_auth/verify", {"csrf_token": token, "resend": "1", "method": "email"})
            first, second = codes_in(sink)
            if first != second:
                assert (await browser.code(first, method="email")).status == 401
            assert (await browser.code(second, method="email")).status == 303
            assert (await browser.get("/")).status == 200
            assert sink.envelopes[0].rcpt_tos == ["alice@example.com"]


async def test_mail_is_no_second_factor_where_the_operator_says_so(tmp_path: Path) -> None:
    mail = {"provider": "console", "second_factor": False}
    async with running_gateway(tmp_path, email=mail) as rig, rig.browser() as browser:
        await rig.add_user(phone="", email="alice@example.com")
        await browser.password()
        assert (await browser.get("/_auth/verify")).headers["Location"].startswith("/_auth/enrol")
        assert rig.codes == []
