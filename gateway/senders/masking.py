"""Phone numbers and mail addresses as logs and pages may show them.

Enough is left for the owner to recognise their own; never enough to call or write to it.
"""

import phonenumbers

DOTS = "•" * 5


def mask_phone(phone: str) -> str:
    """ "+4915112345678" -> "+49•••••678". The number of dots says nothing about the number's length."""
    try:
        country = f"+{phonenumbers.parse(phone).country_code}"
    except phonenumbers.NumberParseException:
        return DOTS
    subscriber = phone.removeprefix(country)
    return f"{country}{DOTS}{subscriber[-3:] if len(subscriber) >= 7 else ''}"


def mask_email(address: str) -> str:
    """ "alice@example.com" -> "a•••••@example.com"."""
    local, at, domain = address.rpartition("@")
    return f"{local[0]}{DOTS}@{domain}" if at and local else DOTS
