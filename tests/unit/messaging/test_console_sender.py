"""What the console twins write."""

import io

from gateway.config.sections.sms_email import EmailConsole, SmsConsole
from gateway.messaging.senders.build import build_email, build_sms
from gateway.messaging.senders.console import ConsoleEmailSender, ConsoleSender


async def test_a_text_message_is_framed_and_shows_the_code_but_not_the_number():
    stream = io.StringIO()
    assert (
        await ConsoleSender(stream).send("+4915112345678", "493817 is your code\n\n@localhost #493817") == ""
    )
    lines = stream.getvalue().strip().splitlines()
    assert lines[0].startswith("┌")
    assert lines[-1].startswith("└")
    assert len({len(line) for line in lines}) == 1
    assert any("493817 is your code" in line for line in lines)
    assert "+49•••••678" in stream.getvalue()
    assert "15112345678" not in stream.getvalue()


async def test_a_mail_is_framed_with_its_subject():
    stream = io.StringIO()
    await ConsoleEmailSender(stream).send("alice@example.com", "Your code", "It is 493817", "<b>493817</b>")
    assert "a•••••@example.com: Your code" in stream.getvalue()
    assert "It is 493817" in stream.getvalue()
    assert "<b>" not in stream.getvalue()


async def test_control_characters_do_not_reach_the_terminal():
    stream = io.StringIO()
    await ConsoleSender(stream).send("+4915112345678", "\x1b[2J\x9b31mred\rover\x00")
    assert not set(stream.getvalue()) & set("\x1b\x9b\r\x00")


async def test_the_console_is_what_an_empty_configuration_builds():
    stream = io.StringIO()
    sms, email = build_sms(SmsConsole(), stream).sender, build_email(EmailConsole(), stream)
    assert isinstance(sms, ConsoleSender)
    await sms.send("+4915112345678", "one")
    await email.send("alice@example.com", "s", "two")
    await sms.close()
    await email.close()
    assert "one" in stream.getvalue()
    assert "two" in stream.getvalue()
    assert not stream.closed
