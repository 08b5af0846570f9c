"""Asks Twilio what a message, call or verification cost. Twilio knows it some time after delivery, and tells only who
asks.
"""

from decimal import Decimal, InvalidOperation
from typing import Any

from gateway.messaging.senders.base import Cost
from gateway.messaging.senders.twilio.client import TwilioApi


class TwilioBills:
    """Asks the resources Message and Call."""

    def __init__(self, api: TwilioApi) -> None:
        self._api = api

    async def cost(self, sid: str, channel: str) -> Cost | None:
        def resource(client: Any) -> Any:  # Any: the twilio package is untyped
            return client.calls(sid) if channel == "call" else client.messages(sid)

        found = await self._api.call(lambda client: resource(client).fetch_async())
        return cost_of(found.price, found.price_unit)


class VerifyBills:
    """Asks the resource Verification Attempt ("VL…"); the fee for a successful verification is not in it."""

    def __init__(self, api: TwilioApi) -> None:
        self._api = api

    async def cost(self, sid: str, channel: str) -> Cost | None:
        if not sid.startswith("VL"):
            return None
        found = await self._api.call(lambda client: client.verify.v2.verification_attempts(sid).fetch_async())
        price = found.price or {}
        return cost_of(price.get("value"), price.get("currency"))


def cost_of(price: object, unit: object) -> Cost | None:
    """Read Twilio's price: what is taken from the account, as a negative number in text ("-0.00790") and
    a currency.
    """
    try:
        amount = abs(Decimal(str(price)))
    except InvalidOperation:
        return None
    if not amount.is_finite() or amount > 1000:
        return None
    return Cost(int((amount * 1_000_000).to_integral_value()), str(unit or "USD").upper())
