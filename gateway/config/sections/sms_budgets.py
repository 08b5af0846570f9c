"""What SMS and calls may cost: budgets in numbers, a daily cap in money, and the stop for number ranges."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from gateway.config.sections.base import Section, Words
from gateway.config.units import Duration

Currency = Annotated[
    str, StringConstraints(pattern=r"^[A-Z]{3}$"), Words("an ISO 4217 code such as `USD` or `EUR`")
]
Amount = Annotated[float, Field(ge=0, le=1_000_000)]
Fallback = Literal["voice", "email", "totp", "webauthn", "recovery"]


class SmsBudgets(Section):
    """How many SMS and calls, counted over all workers and replicas."""

    user_hourly: int = Field(10, ge=1, description="per user and hour")
    user_daily: int = Field(30, ge=1, description="per user and day")
    number_hourly: int = Field(10, ge=1, description="per number and hour")
    number_daily: int = Field(30, ge=1, description="per number and day")
    ip_hourly: int = Field(20, ge=1, description="per client address (IPv6: /64) and hour")
    ip_daily: int = Field(100, ge=1, description="per client address (IPv6: /64) and day")
    prefix_hourly: int = Field(100, ge=1, description="per range of numbers and hour")
    prefix_daily: int = Field(500, ge=1, description="per range of numbers and day")
    hourly: int = Field(500, ge=1, description="over all users, per hour")
    daily: int = Field(3000, ge=1, description="over all users, per day")


class SmsSpending(Section):
    """A cap in money for each UTC day. Prices are estimates until the provider tells what it charged."""

    currency: Currency = Field("USD", description="of all amounts here, and of the provider's bill")
    daily_cap: Amount = Field(
        100.0, description="SMS, WhatsApp and RCS a day; when it is reached, `sms.fallback` goes on"
    )
    daily_voice_cap: Amount = Field(20.0, description="calls a day")
    price: Amount = Field(0.10, description="an SMS to where `prices` has nothing")
    voice_price: Amount = Field(0.10, description="a call to where `voice_prices` has nothing")
    prices: dict[str, Amount] = Field(
        default_factory=dict,
        description='an SMS by country (`DE`) or start of the number (`"+4915"`); the longest start wins',
    )
    voice_prices: dict[str, Amount] = Field(default_factory=dict, description="the same for a call")
    whatsapp_price: Amount = Field(
        0.05, description="a code by WhatsApp to where `whatsapp_prices` has nothing"
    )
    whatsapp_prices: dict[str, Amount] = Field(default_factory=dict, description="the same for WhatsApp")
    rcs_price: Amount = Field(0.05, description="a code by RCS to where `rcs_prices` has nothing")
    rcs_prices: dict[str, Amount] = Field(default_factory=dict, description="the same for RCS")


class SmsPumping(Section):
    """Fraudsters earn on SMS that nobody reads: a range of numbers that only receives and never verifies is cut off."""

    sends: int = Field(20, ge=2, description="messages to one range in `window` before it is judged")
    conversion: float = Field(
        0.1, ge=0, le=1, description="share that must lead to a right code; 0 = never stop"
    )
    window: Duration = Field(3600.0, description="what is looked at")
    block: Duration = Field(12 * 3600.0, description="how long the range gets nothing")
