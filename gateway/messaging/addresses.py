"""What a phone number says about itself, and how numbers and mail addresses may be shown. Pure."""

import phonenumbers

from gateway.errors import SendFailed
from gateway.i18n.text import N_

_LONGEST, _FREE = 8, 4
DEAR = {
    phonenumbers.PhoneNumberType.PREMIUM_RATE,
    phonenumbers.PhoneNumberType.SHARED_COST,
    phonenumbers.PhoneNumberType.UAN,
    phonenumbers.PhoneNumberType.PAGER,
}
"""Kinds of numbers that nobody receives codes on, and that somebody earns by."""
WORLDWIDE = "XX"


def country_of(phone: str) -> str:
    """Return the ISO 3166-1 alpha-2 code of an E.164 number; "XX" for numbers of no country, such as satellite
    telephones.
    """
    try:
        region = phonenumbers.region_code_for_number(phonenumbers.parse(phone))
    except phonenumbers.NumberParseException:
        return WORLDWIDE
    return region if region in phonenumbers.SUPPORTED_REGIONS else WORLDWIDE


def range_of(phone: str) -> str:
    """Return the first digits, such as "+49151123": what SMS pumping rents in one piece.

    Four digits at least stay free, so that a range never tells whose number it was.
    """
    digits = phone.removeprefix("+")
    return "+" + digits[: max(1, min(_LONGEST, len(digits) - _FREE))]


LANDLINE = N_("Your phone number is one that can’t receive text messages.")


def is_landline(phone: str) -> bool:
    """Whether a number is at a fixed line for sure; where mobile numbers look the same (US), it is not."""
    return phonenumbers.number_type(phonenumbers.parse(phone)) == phonenumbers.PhoneNumberType.FIXED_LINE


def check_number(phone: str, allowed: tuple[str, ...]) -> None:
    """Refuse where no code may go: raises SendFailed (code "country" or "number"). An empty `allowed` is
    everywhere.
    """
    country = country_of(phone)
    if allowed and country not in allowed:
        raise SendFailed(
            f"SMS to {country if country != WORLDWIDE else 'an unknown country'} is not allowed",
            code="country",
            mend="add the country to sms.allowed_countries or correct the user's number",
        )
    if country != WORLDWIDE and phonenumbers.number_type(phonenumbers.parse(phone)) in DEAR:
        raise SendFailed(
            "the number is one that costs its callers extra",
            code="number",
            mend="have the user register a mobile number",
        )


DOT = "•"
DOTS = 5


def mask_phone(phone: str, *, dot: str = DOT) -> str:
    """Mask an E.164 number: "+4915112345678" -> "+49•••••678". The number of dots says nothing about its length.

    `dot` is another sign for texts in SMS: • is not in their alphabet (GSM 03.38) and would double the price.
    """
    try:
        country = f"+{phonenumbers.parse(phone).country_code}"
    except phonenumbers.NumberParseException:
        return dot * DOTS
    subscriber = phone.removeprefix(country)
    return f"{country}{dot * DOTS}{subscriber[-3:] if len(subscriber) >= 7 else ''}"


def mask_email(address: str) -> str:
    """Mask an address: "alice@example.com" -> "a•••••@example.com"."""
    local, at, domain = address.rpartition("@")
    return f"{local[0]}{DOT * DOTS}@{domain}" if at and local else DOT * DOTS
