"""Asks Twilio Lookup v2 about a number: its line, its SIM, whether it changed hands, and its risk of pumping.

https://www.twilio.com/docs/lookup/v2-api. What Twilio does not know of a number is None; an answer that can't be read
is a failure, never a clean bill.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from gateway.errors import SendFailed
from gateway.messaging.senders.base import NumberFacts
from gateway.messaging.senders.twilio.client import TwilioApi
from gateway.messaging.senders.twilio.error_entry import Kind
from gateway.messaging.senders.twilio.errors import TWILIO_ERRORS, twilio_failure

FIELDS = {
    "line_type": "line_type_intelligence",
    "sim_swap": "sim_swap",
    "reassigned": "reassigned_number",
    "pumping_risk": "sms_pumping_risk",
}
"""Our names of Twilio's packages, which are the keys of `sms.lookup`."""


class TwilioLookup:
    """One account's Lookup."""

    def __init__(self, api: TwilioApi) -> None:
        self._api = api

    async def ask(
        self, number: str, packages: Sequence[str], *, now: float, last_verified: float | None = None
    ) -> NumberFacts:
        """Ask for these packages. `last_verified` is when the user last proved to have the number (Unix seconds);
        without it nothing is known of "reassigned". Raises SendFailed.
        """
        query = {"fields": ",".join(FIELDS[one] for one in packages)}
        if last_verified is not None:
            query["last_verified_date"] = time.strftime("%Y%m%d", time.gmtime(last_verified))
        found = await self._api.call(
            lambda client: client.lookups.v2.phone_numbers(number).fetch_async(**query)
        )
        try:
            return read(vars(found), packages, now)
        except (TypeError, ValueError, LookupError):
            pass
        # Outside of `except`, so that no __context__ carries the answer, which holds the number.
        raise SendFailed(
            "Twilio Lookup: the answer is not as documented",
            code="bad_answer",
            mend="check sms.lookup.base_url: did something that is not Twilio answer?",
        )

    async def close(self) -> None:
        """Release connections."""
        await self._api.close()


def read(answer: Mapping[str, Any], packages: Sequence[str], now: float) -> NumberFacts:
    """Read what an answer says of these packages. Raises TypeError, ValueError or LookupError for anything that is
    not as documented.
    """
    valid = answer["valid"]
    if valid not in (True, False):
        raise ValueError("valid")
    facts = NumberFacts(valid=bool(valid))
    if not valid:
        return facts
    failures = {}
    for package in packages:
        part = answer[FIELDS[package]]
        if part is None:
            continue
        if not isinstance(part, dict):
            raise TypeError(package)
        code = part["error_code"]
        if code is None:
            facts = _READERS[package](facts, part, now)
        elif not _not_covered(int(code)):
            failures[package] = twilio_failure(0, int(code))
    return replace(facts, failures=failures)


def _not_covered(code: int) -> bool:
    """Tell whether a package merely knows nothing of this number: its country, its carrier, its kind."""
    known = TWILIO_ERRORS.get(code)
    return known is not None and known.kind is Kind.CARRIER


def _line_type(facts: NumberFacts, part: Mapping[str, Any], _: float) -> NumberFacts:
    return replace(facts, line_type=None if part["type"] is None else _text(part["type"]))


def _sim_swap(facts: NumberFacts, part: Mapping[str, Any], now: float) -> NumberFacts:
    """Of some carriers only whether there was a swap of late is known: then it counts as one of this moment."""
    last = part["last_sim_swap"]
    if last is None:
        return facts
    if last["last_sim_swap_date"] is not None:
        return replace(facts, swapped_at=_moment(last["last_sim_swap_date"]))
    swapped = last["swapped_in_period"]
    if swapped not in (True, False, None):
        raise ValueError("swapped_in_period")
    return facts if swapped is None else replace(facts, swapped_at=now if swapped else 0.0)


def _moment(text: object) -> float:
    found = datetime.fromisoformat(_text(text))
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


_REASSIGNED = {"yes": True, "no": False, "no_data_available": None}


def _reassigned(facts: NumberFacts, part: Mapping[str, Any], _: float) -> NumberFacts:
    word = part["is_number_reassigned"]
    if word is not None and word not in _REASSIGNED:
        raise ValueError("is_number_reassigned")
    return replace(facts, reassigned=_REASSIGNED.get(word))


def _pumping_risk(facts: NumberFacts, part: Mapping[str, Any], _: float) -> NumberFacts:
    """A number that Twilio itself blocks is as risky as can be."""
    score = part["sms_pumping_risk_score"]
    if part["number_blocked"]:
        return replace(facts, pumping_score=100)
    return facts if score is None else replace(facts, pumping_score=int(score))


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("a text is expected")
    return value


_READERS = {
    "line_type": _line_type,
    "sim_swap": _sim_swap,
    "reassigned": _reassigned,
    "pumping_risk": _pumping_risk,
}
