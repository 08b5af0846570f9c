"""Text messages through any HTTP service: POST {"to": ..., "text": ...} as JSON, any 2xx is success.

Every repeat of a message carries the same Idempotency-Key, so that a careful receiver sends it once.
Redirects are refused: they would carry the code, and the configured credentials, to a host that
nobody chose.
"""

import secrets
from collections.abc import Callable

from aiohttp import ClientResponse, ClientSession

from gateway.config.sections.sms_email import SmsWebhook
from gateway.errors import SendFailed
from gateway.messaging.senders.http_client import WIRE_ERRORS, open_session, retry_after, wire_miss
from gateway.messaging.senders.retry import Backoff, Miss, with_retries


class WebhookSender:
    """Posts messages to `sms.url`."""

    def __init__(
        self, config: SmsWebhook, backoff: Backoff, new_key: Callable[[], str] = secrets.token_urlsafe
    ) -> None:
        self._config = config
        self._backoff = backoff
        self._new_key = new_key
        self._session: ClientSession | None = None  # opened by the first call: the loop does not run yet

    async def send(self, to: str, text: str, reference: str = "") -> str:
        """Post the message. The id is the Idempotency-Key, by which the receiver's log can be searched. Raises
        SendFailed.
        """
        key = reference or self._new_key()
        headers = {name: value.get_secret_value() for name, value in self._config.headers.items()}
        headers["Idempotency-Key"] = key
        await with_retries(lambda: self._post({"to": to, "text": text}, headers), self._backoff)
        return key

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def _post(self, message: dict[str, str], headers: dict[str, str]) -> Miss | None:
        if self._session is None:
            self._session = open_session(self._config.timeout)
        try:
            async with self._session.post(
                self._config.url, json=message, headers=headers, allow_redirects=False
            ) as response:
                return _judge(response)
        except WIRE_ERRORS as error:
            return wire_miss(error, "webhook")


def _judge(response: ClientResponse) -> Miss | None:
    status = response.status
    if 200 <= status < 300:
        return None
    if 300 <= status < 400:
        mend = "set sms.url to the final address"
        return Miss(SendFailed(f"webhook: redirect refused ({status})", code="redirect", mend=mend))
    again = status == 429 or status >= 500
    mend = "see the log of the service behind sms.url" if again else "check sms.url and sms.headers"
    failure = SendFailed(f"webhook: answered {status}", code=str(status), mend=mend, retryable=again)
    return Miss(failure, again=again, retry_after=retry_after(response.headers))
