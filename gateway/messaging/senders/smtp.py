"""Mail over SMTP, one connection a message.

STARTTLS is demanded, never tried: a server (or somebody in between) that does not offer it gets no password
and no code. The server's replies stay out of errors, since they quote addresses.
"""

import asyncio
import contextlib
import socket
import ssl
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import formatdate, make_msgid, parseaddr

import aiosmtplib

from gateway.clock import Clock, system_clock
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
        message = self._compose(to, subject, text, html)
        await with_retries(lambda: self._attempt(message, to), self._backoff)
        return str(message["Message-ID"])

    async def close(self) -> None:
        """Nothing stays open between messages."""

    def _compose(self, to: str, subject: str, text: str, html: str | None) -> EmailMessage:
        message = EmailMessage()
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
        return aiosmtplib.SMTP(
            hostname=config.host,
            port=config.port,
            local_hostname=socket.gethostname(),  # without it aiosmtplib asks the DNS for our name, each time
            timeout=config.timeout,
            username=config.username,
            password=config.password.get_secret_value() if config.password else None,
            use_tls=config.tls == "tls",
            start_tls=config.tls == "starttls",
            tls_context=self._tls,
        )


def _one_address(to: str) -> Address:
    """Exactly one mailbox: "a@x, b@y" must not send a code to two people."""
    try:
        return Address(addr_spec=to)
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
