"""What an SMS or a call to a number is expected to cost. Pure; money is counted in millionths."""

from collections.abc import Mapping
from enum import StrEnum

from gateway.config.sections.sms_budgets import SmsSpending
from gateway.messaging.sms.phone_numbers import country_of

MICROS = 1_000_000


class Channel(StrEnum):
    SMS = "sms"
    CALL = "call"


def price_of(phone: str, channel: Channel, config: SmsSpending) -> int:
    """In micros: the longest number range that has a price, then the country, then the price for all."""
    table, otherwise = (
        (config.prices, config.price) if channel is Channel.SMS else (config.voice_prices, config.voice_price)
    )
    return micros(_listed(phone, table, otherwise))


def _listed(phone: str, table: Mapping[str, float], otherwise: float) -> float:
    ranges = [start for start in table if start.startswith("+") and phone.startswith(start)]
    if ranges:
        return table[max(ranges, key=len)]
    return table.get(country_of(phone), otherwise)


def micros(amount: float) -> int:
    return round(amount * MICROS)


def show_money(amount: int, currency: str) -> str:
    """12_345_678 -> "12.35 USD"."""
    return f"{amount / MICROS:.2f} {currency}"
