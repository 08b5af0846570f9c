"""Estimates what an SMS or a call to a number costs. Pure; money is counted in millionths (micros)."""

from collections.abc import Mapping
from enum import StrEnum

from gateway.config.sections.sms_budgets import SmsSpending
from gateway.messaging.sms.phone_numbers import country_of

MICROS = 1_000_000


class Channel(StrEnum):
    """How a code travels, as it is named in records and metrics."""

    SMS = "sms"
    CALL = "call"


def price_of(phone: str, channel: Channel, config: SmsSpending) -> int:
    """Return the expected price in micros: that of the longest number range that has one, else the country's, else
    the one for all.
    """
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
    """Turn an amount of money into millionths of it."""
    return round(amount * MICROS)


def show_money(amount: int, currency: str) -> str:
    """12_345_678 -> "12.35 USD"."""
    return f"{amount / MICROS:.2f} {currency}"
