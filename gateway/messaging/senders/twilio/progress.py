"""Asks Twilio how far a text message is: for commands, to which nothing can be reported."""

from gateway.messaging.senders.base import Report
from gateway.messaging.senders.twilio.bills import cost_of
from gateway.messaging.senders.twilio.client import TwilioApi
from gateway.messaging.senders.twilio.status_callbacks import delivery_of


class TwilioProgress:
    """Asks the resource Message."""

    def __init__(self, api: TwilioApi) -> None:
        self._api = api

    async def look(self, sid: str) -> Report:
        found = await self._api.call(lambda client: client.messages(sid).fetch_async())
        delivery = delivery_of(str(found.status), sid, str(found.error_code or ""))
        return Report("", delivery, cost_of(found.price, found.price_unit))
