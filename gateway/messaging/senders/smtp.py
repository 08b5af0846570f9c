"""Mail over SMTP, one connection a message.

STARTTLS is demanded, never tried: a server (or somebody in between) that does not offer it gets no password
and no code. The server's replies stay out of errors, since they quote addresses.
"""

import asyncio
import base64
import contextlib
import socket
import ssl
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import formatdate, make_msgid, parseaddr
from typing import Literal

import aiosmtplib
from aiosmtplib.typing import Default

from gateway.clock import Clock, system_clock
from gateway.config.names import mail_domain
from gateway.config.sections.sms_email import EmailSmtp
from gateway.errors import SendFailed
from gateway.i18n.text import N_
from gateway.messaging.senders.retry import Backoff, Miss, with_retries

BAD_ADDRESS = N_("We could not send a mail to your address.")


class SmtpSender:
    """Sends mail through the server of the `email` section."""

    def __init__(
        self,
        config: EmailSmtp,
        backoff: Backoff,
        tls: ssl.SSLContext | None = None,
        clock: Clock = system_clock,
    ) -> None:
        self._config = config
        self._backoff = backoff
        self._tls = tls  # None: the system's CAs
        self._clock = clock

    async def send(self, to: str, subject: str, text: str, html: str | None = None) -> str:
        to = _as_sent(to)
        message = self._compose(to, subject, text, html)
        await with_retries(lambda: self._attempt(message, to), self._backoff)
        return str(message["Message-ID"])

    async def close(self) -> None:
        """Nothing stays open between messages."""

    def _compose(self, to: str, subject: str, text: str, html: str | None) -> EmailMessage:
        message = EmailMessage(policy=SMTP if to.isascii() else SMTPUTF8)
        message["To"] = _one_address(to)
        message["From"] = self._config.from_
        message["Subject"] = " ".join(subject.split())  # a line break would start another header
        message["Date"] = formatdate(self._clock())
        message["Message-ID"] = make_msgid(domain=parseaddr(self._config.from_)[1].rpartition("@")[2])
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office replies, please
        message.set_content(text)
        if html is not None:
            message.add_alternative(html, subtype="html")
        return message

    async def _attempt(self, message: EmailMessage, to: str) -> Miss | None:
        client = self._client()
        try:
            async with asyncio.timeout(self._config.timeout):
                try:
                    await client.connect()  # greets, starts TLS and signs in
                except (aiosmtplib.SMTPException, TimeoutError, OSError) as error:
                    return _miss(error, again=_never_connected(error))
                if not to.isascii() and not await _takes_utf8(client):
                    return Miss(_beyond_ascii(), again=False)
                await client.send_message(message, recipients=[to])
            with contextlib.suppress(aiosmtplib.SMTPException, TimeoutError):
                await client.quit(timeout=1)  # the mail is accepted; a rude goodbye changes nothing
        except (aiosmtplib.SMTPException, TimeoutError, OSError) as error:
            return _miss(error)
        finally:
            client.close()
        return None

    def _client(self) -> aiosmtplib.SMTP:
        config = self._config
        return PatientLogin(
            hostname=config.host,
            port=config.port,
            # Without a name aiosmtplib asks the DNS for ours, each time.
            local_hostname=config.ehlo or socket.gethostname(),
            timeout=config.timeout,
            username=config.username,
            password=config.password.get_secret_value() if config.password else None,
            use_tls=config.tls == "tls",
            start_tls=config.tls == "starttls",
            tls_context=self._tls,
        )


class PatientLogin(aiosmtplib.SMTP):
    """Sends the name when it is asked for: some servers take no initial response with AUTH LOGIN."""

    async def auth_login(
        self,
        username: str | bytes,
        password: str | bytes,
        /,
        *,
        timeout: float | Literal[Default.token] | None = Default.token,  # noqa: ASYNC109 - the library's
    ) -> aiosmtplib.SMTPResponse:
        """Sign in, step by step (draft-murchison-sasl-login). Raises SMTPAuthenticationError."""
        response = await self.execute_command(b"AUTH", b"LOGIN", timeout=timeout)
        for said in (username, password):
            if response.code != aiosmtplib.SMTPStatus.auth_continue:
                break
            text = said.encode() if isinstance(said, str) else said
            response = await self.execute_command(base64.b64encode(text), timeout=timeout)
        if response.code != aiosmtplib.SMTPStatus.auth_successful:
            raise aiosmtplib.SMTPAuthenticationError(response.code, response.message)
        return response


def _as_sent(to: str) -> str:
    """With its domain as DNS has it (IDNA): servers know `bücher.example` by that name alone."""
    local, at, domain = to.rpartition("@")
    return f"{local}@{mail_domain(domain)}" if at and not domain.isascii() and mail_domain(domain) else to


async def _takes_utf8(client: aiosmtplib.SMTP) -> bool:
    await client.ehlo()
    return client.supports_extension("smtputf8")


def _beyond_ascii() -> SendFailed:
    return SendFailed(
        "mail: the server takes no addresses with letters beyond ASCII (SMTPUTF8, RFC 6531)",
        code="smtputf8",
        mend="have the user give another address, or use a server that takes them",
        public=BAD_ADDRESS,
    )


def _one_address(to: str) -> Address:
    """Exactly one mailbox: "a@x, b@y" must not send a code to two people."""
    try:
        if to.isascii():
            return Address(addr_spec=to)
        local, _, domain = to.rpartition("@")
        plain = Address(addr_spec="".join(one if one.isascii() else "x" for one in to))
        if plain.domain == domain:
            return Address(username=local, domain=domain)
    except (ValueError, IndexError, MessageError):
        pass
    raise SendFailed(
        "mail: the address is invalid", code="address", mend="correct the user's e-mail", public=BAD_ADDRESS
    )


def _never_connected(error: Exception) -> bool:
    """A refused or silent port: no sign-in was tried, so a repeat can't deliver twice or lock an account."""
    return isinstance(error, aiosmtplib.SMTPConnectError) and not isinstance(error.__cause__, ssl.SSLError)


def _miss(error: Exception, again: bool = False) -> Miss:
    return Miss(_failure(error), again=again)


def _failure(error: Exception) -> SendFailed:
    name = type(error).__name__
    if isinstance(error, ssl.SSLError) or isinstance(error.__cause__, ssl.SSLError):
        mend = "check email.host, email.tls and this machine's CA certificates"
        return SendFailed(f"mail: TLS failed ({name})", code="tls", mend=mend)
    if isinstance(error, aiosmtplib.SMTPAuthenticationError):
        mend = "check email.username and email.password"
        return SendFailed(f"mail: sign-in refused ({error.code})", code=str(error.code), mend=mend)
    # aiosmtplib raises its bare base class where the server lacks STARTTLS or any AUTH method it knows.
    if isinstance(error, aiosmtplib.SMTPNotSupported) or type(error) is aiosmtplib.SMTPException:
        mend = "the server offers no STARTTLS or AUTH on this port: check email.port and email.tls"
        return SendFailed(
            "mail: the server lacks what the configuration demands", code="unsupported", mend=mend
        )
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        reply = error.recipients[0].code
        mend = "check the user's e-mail, and that the server relays for us"
        public = None if reply < 500 else BAD_ADDRESS
        return SendFailed(
            f"mail: recipient refused ({reply})",
            code=str(reply),
            mend=mend,
            retryable=reply < 500,
            public=public,
        )
    if isinstance(error, aiosmtplib.SMTPResponseException):
        mend = "see the mail server's log; check email.from"
        detail = f"mail: refused ({error.code}, {name})"
        return SendFailed(detail, code=str(error.code), mend=mend, retryable=error.code < 500)
    if isinstance(error, TimeoutError):
        mend = "check email.host and email.port, or raise email.timeout"
        return SendFailed("mail: no answer in time", code="timeout", mend=mend, retryable=True)
    mend = "check email.host, email.port and the firewall between"
    return SendFailed(f"mail: no connection ({name})", code="connect", mend=mend, retryable=True)
