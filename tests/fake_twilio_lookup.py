"""The Lookup v2 part of the local Twilio, strict about what is asked.

The shape is that of twilio_lookups_v2.json in Twilio's published OpenAPI (github.com/twilio/twilio-oai):
FetchPhoneNumber and lookups.v2.phone_number; what stands in the packages is that of its examples.
"""

import re
from typing import Any

from aiohttp import web

from tests.twilio_rules import E164, Refused

TEXT, TRUTH, LIST, ANY = "string", "boolean", "array", "any"
SCHEMA = {
    "calling_country_code": TEXT,
    "country_code": TEXT,
    "phone_number": TEXT,
    "national_format": TEXT,
    "valid": TRUTH,
    "validation_errors": LIST,
    "caller_name": ANY,
    "sim_swap": ANY,
    "call_forwarding": ANY,
    "live_activity": ANY,
    "line_type_intelligence": ANY,
    "identity_match": ANY,
    "reassigned_number": ANY,
    "sms_pumping_risk": ANY,
    "phone_number_quality_score": ANY,
    "url": TEXT,
}
"""The properties of lookups.v2.phone_number; all of them are nullable."""
PARAMETERS = {
    *("Fields", "CountryCode", "FirstName", "LastName", "AddressLine1", "AddressLine2", "City", "State"),
    *("PostalCode", "AddressCountryCode", "NationalId", "DateOfBirth", "LastVerifiedDate"),
}
"""The query parameters of FetchPhoneNumber."""
MOBILE = {
    "carrier_name": "Demo Mobile",
    "mobile_country_code": "262",
    "mobile_network_code": "02",
    "error_code": None,
}


def line(type: str) -> dict[str, Any]:
    return {**MOBILE, "type": type}


def sim(date: str | None, *, period: str = "PT24H", swapped: bool | None = None) -> dict[str, Any]:
    last = {"last_sim_swap_date": date, "swapped_period": period, "swapped_in_period": swapped}
    return {**MOBILE, "last_sim_swap": last}


def reassigned(word: str) -> dict[str, Any]:
    return {"last_verified_date": "2020-12-27", "is_number_reassigned": word, "error_code": None}


def risk(score: int, *, blocked: bool = False) -> dict[str, Any]:
    return {
        "carrier_risk_category": "moderate",
        "number_blocked": blocked,
        "number_blocked_date": None,
        "number_blocked_last_3_months": None,
        "sms_pumping_risk_score": score,
        "error_code": None,
    }


def answer(number: str, parts: dict[str, Any]) -> dict[str, Any]:
    """All properties of the schema: what was not asked for is null."""
    return {
        **dict.fromkeys(SCHEMA),
        "phone_number": number,
        "valid": True,
        "validation_errors": [],
        "url": f"https://lookups.twilio.com/v2/PhoneNumbers/{number}",
        **parts,
    }


class FakeLookup:
    def __init__(self) -> None:
        self.facts: dict[str, dict[str, Any]] = {}
        """What is known of a number, by Twilio's names."""
        self.asked: list[tuple[str, dict[str, str]]] = []
        """Number and query."""

    async def fetch(self, request: web.Request) -> web.Response:
        number, query = request.match_info["number"], dict(request.query)
        self.asked.append((number, query))
        if not E164.fullmatch(number):
            raise Refused(404, 20404, f"The requested resource {request.path} was not found")
        if not set(query) <= PARAMETERS or len(request.query) != len(query):
            raise Refused(400, 20001, "unknown or repeated parameter")
        fields = query.get("Fields", "").split(",")
        if not set(fields) <= set(SCHEMA) or ("LastVerifiedDate" in query) != ("reassigned_number" in fields):
            raise Refused(400, 60603, "Invalid Fields")
        if not re.fullmatch(r"(\d{8})?", query.get("LastVerifiedDate", "")):
            raise Refused(400, 60600, "LastVerifiedDate is YYYYMMDD")
        known = self.facts.get(number, {})
        default = {
            "line_type_intelligence": line("mobile"),
            "sim_swap": sim(None, swapped=False),
            "reassigned_number": reassigned("no"),
            "sms_pumping_risk": risk(0),
        }
        parts = {name: known.get(name, default[name]) for name in fields}
        if "valid" in known:
            parts |= {"valid": known["valid"], **dict.fromkeys(fields)}
        return web.json_response(answer(number, parts))
