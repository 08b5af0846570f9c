"""The HTTP session for calls to Twilio and to a webhook, and what a failure on the wire means.

Nothing here may put a request's body, its headers or an exception's text into an error: they hold codes and tokens.
"""

import email.utils
from collections.abc import Mapping

from aiohttp import (
    ClientConnectorError,
    ClientError,
    ClientSession,
    ClientSSLError,
    ClientTimeout,
    ConnectionTimeoutError,
    DummyCookieJar,
    InvalidURL,
    TCPConnector,
)
from aiohttp.abc import AbstractResolver

from gateway.clock import Clock, system_clock
from gateway.errors import SendFailed
from gateway.messaging.senders.retry import Miss

WIRE_ERRORS = (ClientError, TimeoutError, OSError)
CHECK_NETWORK = "check DNS, routing and firewall between this machine and the service"


def open_session(timeout: float, *, resolver: AbstractResolver | None = None) -> ClientSession:
    """A session whose calls end after `timeout` seconds; half of it at most goes into connecting. `resolver` finds
    addresses, the system's if it is None.

    Each call has its own connection: the other side may close a kept one just as our request leaves, and then
    nobody can tell whether the message went out.
    """
    return ClientSession(
        timeout=ClientTimeout(total=timeout, connect=timeout / 2),
        connector=TCPConnector(force_close=True, resolver=resolver),
        cookie_jar=DummyCookieJar(),
    )


def wire_miss(error: Exception, service: str) -> Miss:
    """Return what one of WIRE_ERRORS means for the message: only a connection that was never made is safe to repeat.

    After the request has left, silence may mean a lost answer to a message that was sent; the user has a "send again"
    button for that.
    """
    name = type(error).__name__
    if isinstance(error, ClientSSLError):
        mend = "check base_url or url, this machine's clock and its CA certificates"
        return Miss(SendFailed(f"{service}: TLS failed ({name})", code="tls", mend=mend))
    if isinstance(error, ConnectionTimeoutError | ClientConnectorError):
        failure = SendFailed(
            f"{service}: no connection ({name})", code="connect", mend=CHECK_NETWORK, retryable=True
        )
        return Miss(failure, again=True)
    if isinstance(error, InvalidURL):
        return Miss(SendFailed(f"{service}: the URL is invalid", code="url", mend="correct base_url or url"))
    if isinstance(error, TimeoutError):
        mend = "see the service's status page; raise `timeout` if it is merely slow"
        return Miss(SendFailed(f"{service}: no answer in time", code="timeout", mend=mend, retryable=True))
    lost = f"{service}: the connection broke after the request was sent ({name})"
    return Miss(SendFailed(lost, code="connection_lost", mend=CHECK_NETWORK, retryable=True))


def retry_after(headers: Mapping[str, str], now: Clock = system_clock) -> float | None:
    """Seconds that a Retry-After header asks for, as a number or as a date (RFC 9110 §10.2.3)."""
    value = headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - now())
    except ValueError:
        return None
