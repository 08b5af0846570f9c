"""Text messages through Twilio's Messages API.

A message is repeated only where Twilio refused it or was never reached. A timeout after the request has left
is not repeated: Messages has no idempotency key, Twilio may have queued the message, and a second one would
cost money and leave the user with two texts. The page's "send again" is the remedy.
"""

from typing import Any

from twilio.base import values

from gateway.config.delivery import SmsTwilio
from gateway.senders.retry import Backoff
from gateway.senders.twilio_api import TwilioApi


class TwilioSender:
    def __init__(self, config: SmsTwilio, backoff: Backoff) -> None:
        self._api = TwilioApi(config, backoff)
        self._fields: dict[str, Any] = {  # Any: values.unset is an untyped marker
            "from_": config.from_ or values.unset,
            "messaging_service_sid": config.messaging_service_sid or values.unset,
            # A code that arrives after it expired only confuses: let Twilio drop it instead (1..36000 s).
            "validity_period": max(1, min(36_000, int(config.code_lifetime))),
        }

    async def send(self, to: str, text: str) -> str:
        """Hand the message to Twilio and return its SID ("SM…"). It is queued then, not yet delivered."""
        message = await self._api.call(
            lambda client: client.messages.create_async(to=to, body=text, **self._fields)
        )
        return str(message.sid)

    async def close(self) -> None:
        await self._api.close()
