"""Text messages through Twilio's Messages API.

A message is repeated only where Twilio refused it or was never reached. A timeout after the request has left
is not repeated: Messages has no idempotency key, Twilio may have queued the message, and a second one would
cost money and leave the user with two texts. The page's "send again" is the remedy.
"""

import re
from collections.abc import Callable

from twilio.base import values

from gateway.config.sections.sms_email import SmsTwilio
from gateway.messaging.addresses import country_of
from gateway.messaging.senders.retry import Backoff
from gateway.messaging.senders.twilio.client import TwilioApi

_SERVICE = re.compile(r"MG[0-9a-fA-F]{32}")


class TwilioSender:
    """Sends text messages. `callback` makes the address that Twilio reports to from our reference of a message; "" if
    there is none.
    """

    def __init__(
        self, config: SmsTwilio, backoff: Backoff, callback: Callable[[str], str] = lambda reference: ""
    ) -> None:
        self.api = TwilioApi(config, backoff)
        self._callback = callback
        self._config = config
        # A code that arrives after it expired only confuses: let Twilio drop it instead (1..36000 s).
        self._seconds = max(1, min(36_000, int(config.code_lifetime)))

    async def send(self, to: str, text: str, reference: str = "") -> str:
        """Hand the message to Twilio and return its SID ("SM…"). It is queued then, not yet delivered."""
        told = self._callback(reference) or values.unset
        message = await self.api.call(
            lambda client: client.messages.create_async(
                to=to,
                body=text,
                status_callback=told,
                validity_period=self._seconds,
                **_from(self._config.sender_of(country_of(to))),
            )
        )
        return str(message.sid)

    async def close(self) -> None:
        await self.api.close()


def _from(sender: str) -> dict[str, str]:
    """The field that names a sender: Messaging Services have one of their own."""
    return {"messaging_service_sid" if _SERVICE.fullmatch(sender) else "from_": sender}
