"""Masks phone numbers and mail addresses for logs and pages.

Enough is left for the owner to recognise their own; never enough to call or write to it.
"""

import phonenumbers

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
