"""The twilio package's client, made fit for a sign-in page: its own base URL, hard timeouts, careful repeats.

All of it runs on the event loop (AsyncTwilioHttpClient is aiohttp). It must not log or raise anything that
holds a code, the auth token or a phone number.
"""

import base64
import functools
import json
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

from aiohttp import ClientSession
from twilio.base.exceptions import TwilioException
from twilio.http.async_http_client import AsyncTwilioHttpClient
from twilio.http.response import Response
from twilio.rest import Client

from gateway.config.sections.sms_email import TwilioAccount
from gateway.errors import SendFailed
from gateway.messaging.senders.http_client import WIRE_ERRORS, open_session, retry_after, wire_miss
from gateway.messaging.senders.retry import Backoff, Miss, with_retries
from gateway.messaging.senders.twilio.errors import twilio_failure


class TwilioApi:
    """One Twilio account over the twilio package; `base_url` and `timeout` (seconds) for another of its APIs."""

    def __init__(
        self, account: TwilioAccount, backoff: Backoff, *, base_url: str = "", timeout: float = 0.0
    ) -> None:
        self._http = TwilioHttp(base_url or account.base_url, timeout or account.timeout, backoff)
        self._client = Client(
            account.account_sid,
            account.auth_token.get_secret_value(),
            http_client=self._http,
            # Ours and not empty: else the process's TWILIO_REGION and TWILIO_EDGE would move the host.
            environment={"TWILIO_REGION": ""},
        )

    # Any: the twilio package is untyped.
    async def call(self, request: Callable[[Client], Awaitable[Any]]) -> Any:
        """Run a request of the twilio package; all its failures come out as SendFailed."""
        try:
            return await request(self._client)
        except TwilioException as error:
            failure = twilio_failure(getattr(error, "status", 0), _number(getattr(error, "code", None)))
        except ValueError:  # 2xx whose body is not Twilio's JSON
            mend = "check base_url: something that is not Twilio answered"
            failure = SendFailed("Twilio: the answer is not JSON", code="bad_answer", mend=mend)
        # Outside of `except`, so that no __context__ carries Twilio's message, which quotes the phone number.
        raise failure

    async def close(self) -> None:
        await self._http.close()


class TwilioHttp(AsyncTwilioHttpClient):  # type: ignore[misc]  # the twilio package is untyped
    """The package's aiohttp client with another base URL, our session and our repeats.

    Its own `request` is replaced: 9.13 drops the timeout (so a silent Twilio would hang a sign-in for good), keeps
    the last exchange, token and code, in an attribute "for tests", and repeats POSTs that may have been carried out.
    """

    session: ClientSession | None

    def __init__(self, base_url: str, timeout: float, backoff: Backoff) -> None:
        """`timeout` is how many seconds one call may take."""
        super().__init__(
            pool_connections=False
        )  # the first call opens the session: the loop does not run yet
        self._base_url = base_url.rstrip("/")
        self._seconds = timeout
        self._backoff = backoff

    async def request(
        self,
        method: str,
        url: str,
        params: dict[str, Any] | None = None,
        data: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,  # noqa: ASYNC109  # the package's signature; it never sends one
        allow_redirects: bool = False,
    ) -> Response:
        """Make one call of the package's, to our `base_url`, with our time limit (seconds) and our retries. Raises
        SendFailed.
        """
        fields = {"params": params, "data": data, "headers": {**(headers or {}), **_authorization(auth)}}
        attempt = functools.partial(self._attempt, method, self._base_url + urlsplit(url).path, fields)
        return await with_retries(attempt, self._backoff)

    async def _attempt(self, method: str, url: str, fields: dict[str, Any]) -> Response | Miss:
        if self.session is None:
            self.session = open_session(self._seconds)
        try:
            async with self.session.request(method, url, allow_redirects=False, **fields) as answer:
                response = Response(answer.status, await answer.text(), answer.headers)
        except WIRE_ERRORS as error:
            return wire_miss(error, "Twilio")
        return _miss(response) or response


def _authorization(auth: tuple[str, str] | None) -> dict[str, str]:
    """Basic (RFC 7617): account SID and token."""
    if auth is None:
        return {}
    return {"Authorization": "Basic " + base64.b64encode(":".join(auth).encode()).decode()}


def _miss(response: Response) -> Miss | None:
    """The answers after which Twilio certainly did not send, or most likely did not.

    429 is never processed (error 20429), but Verify also answers 429 when a number's own limit is spent,
    where a repeat is pointless. 504 is a gateway's timeout: as with our own, the message may be on its way.
    """
    status, code = response.status_code, _code(response.text)
    throttled = status == 429 and code in (None, 429, 20429)
    if not throttled and (status < 500 or status == 504):
        return None
    return Miss(twilio_failure(status, code), again=True, retry_after=retry_after(response.headers))


def _code(body: str) -> int | None:
    try:
        answer = json.loads(body)
    except ValueError:
        return None
    return _number(answer.get("code")) if isinstance(answer, dict) else None


def _number(value: object) -> int | None:
    return value if isinstance(value, int) else None
