"""What the tests of lookups share: rules, American numbers, and what became of them."""

import itertools
from collections.abc import Sequence
from typing import Any

import pytest

from tests.fake_twilio import FakeTwilio
from tests.rig import Rig
from tests.sms_rig import ask_for_code

NUMBERS = itertools.count(2000)
FELL_BACK = "We can’t send text messages right now."
NO_CODE = "We could not send a code to your phone number."
REVEALING = ("SIM", "swap", "VoIP", "Internet", "reassigned", "somebody else", "risk", "Lookup")
EVERYTHING = {"line_type": True, "sim_swap": True, "reassigned": True, "pumping_risk": True}
PRICES = {"line_type": 0.01, "sim_swap": 0.02, "reassigned": 0.04, "pumping_risk": 0.08}
LIMITS = {"ip_hourly": 500, "ip_daily": 500, "prefix_hourly": 500}


def lookup(twilio: FakeTwilio, **more: Any) -> dict[str, Any]:
    return {"base_url": twilio.url, "prices": PRICES, **EVERYTHING, **more}


def number() -> str:
    """An American number: nobody can tell by its digits whether it is a mobile one."""
    return f"+1202555{next(NUMBERS)}"


def events(caplog: pytest.LogCaptureFixture, name: str) -> Sequence[dict[str, Any]]:
    found = [getattr(record, "fields", {}) for record in caplog.records]
    return [one for one in found if one.get("event") == name]


async def page_of(rig: Rig, phone: str, **fields: str) -> str:
    """The second step of a new user with this number."""
    name = f"u{next(NUMBERS)}"
    await rig.add_user(name, phone=phone, **fields)
    async with rig.browser() as browser:
        return await ask_for_code(browser, name)


def sent_to(twilio: FakeTwilio, phone: str) -> Sequence[str]:
    texts = ["sms" for one in twilio.messages if one.to == phone]
    return [*texts, *("call" for one in twilio.calls if one.to == phone)]


def asked_of(twilio: FakeTwilio, phone: str) -> Sequence[dict[str, str]]:
    return [query for one, query in twilio.lookup.asked if one == phone]
