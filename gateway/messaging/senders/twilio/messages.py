"""Text messages through Twilio's Messages API.

A message is repeated only where Twilio refused it or was never reached. A timeout after the request has left
is not repeated: Messages has no idempotency key, Twilio may have queued the message, and a second one would
cost money and leave the user with two texts. The page's "send again" is the remedy.
"""

from collections.abc import Callable
from typing import Any

from twilio.base import values

from gateway.config.sections.sms_email import SmsTwilio
from gateway.messaging.senders.retry import Backoff
from gateway.messaging.senders.twilio.client import TwilioApi


class TwilioSender:
    """Sends text messages. `callback` makes the address that Twilio reports to from our reference of a message; "" if
    there is none.
    """

    def __init__(
        self, config: SmsTwilio, backoff: Backoff, callback: Callable[[str], str] = lambda reference: ""
    ) -> None:
        self.api = TwilioApi(config, backoff)
        self._callback = callback
        self._fields: dict[str, Any] = {  # Any: values.unset is an untyped marker
            "from_": config.from_ or values.unset,
            "messaging_service_sid": config.messaging_service_sid or values.unset,
            # A code that arrives after it expired only confuses: let Twilio drop it instead (1..36000 s).
            "validity_period": max(1, min(36_000, int(config.code_lifetime))),
        }

    async def send(self, to: str, text: str, reference: str = "") -> str:
        """Hand the message to Twilio and return its SID ("SM…"). It is queued then, not yet delivered."""
        told = self._callback(reference) or values.unset
        message = await self.api.call(
            lambda client: client.messages.create_async(
                to=to, body=text, status_callback=told, **self._fields
            )
        )
        return str(message.sid)

    async def close(self) -> None:
        await self.api.close()
