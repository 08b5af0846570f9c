"""Reads Twilio's status callbacks for messages and calls, and checks that Twilio sent them.

X-Twilio-Signature is HMAC-SHA1, keyed by the auth token, of the address that Twilio called and all fields of the form
(https://www.twilio.com/docs/usage/webhooks/webhooks-security). The address is the one that we gave out, made from
server.public_url: what a proxy in between made of it does not count.
"""

import hmac
from collections.abc import Mapping
from urllib.parse import urlsplit

from twilio.request_validator import RequestValidator, add_port, remove_port

from gateway.i18n.text import N_
from gateway.messaging.senders.base import Cost, Report
from gateway.messaging.senders.twilio.bills import cost_of
from gateway.messaging.senders.twilio.errors import twilio_failure
from gateway.stores.protocols.sms import FINAL, Delivery

STAGES = {
    "accepted": 1,
    "scheduled": 1,
    "queued": 1,
    "initiated": 2,
    "sending": 2,
    "sent": 3,
    "ringing": 3,
    "in-progress": 4,
    "delivered": FINAL,
    "read": FINAL,
    "undelivered": FINAL,
    "failed": FINAL,
    "canceled": FINAL,
    "completed": FINAL,
    "busy": FINAL,
    "no-answer": FINAL,
}
"""How far a status is; Twilio's callbacks arrive in any order, and sometimes twice."""
_PROBLEMS = {
    "busy": N_("Your line was busy."),
    "no-answer": N_("Nobody answered."),
    "failed": N_("The number could not be reached."),
    "undelivered": N_("Your network did not accept it."),
    "canceled": N_("It was cancelled."),
}


class TwilioReports:
    """Reads what Twilio reports of messages and calls. `url` is the address of our status page as Twilio reaches it."""

    def __init__(self, token: str, url: str) -> None:
        self._validator, self._url = RequestValidator(token), url

    def address(self, reference: str) -> str:
        """Return the URL that Twilio is to call about the message that we call `reference`."""
        return f"{self._url}?m={reference}"

    def read(self, query: Mapping[str, str], form: Mapping[str, str], signature: str) -> Report | None:
        """Return what a callback reports, None if it is not signed by the account. `query` and `form` are the
        request's.
        """
        reference = query.get("m", "")
        if not self._signed(self.address(reference), form, signature):
            return None
        status = form.get("MessageStatus") or form.get("CallStatus") or ""
        sid = form.get("MessageSid") or form.get("CallSid") or ""
        return Report(reference, delivery_of(status, sid, form.get("ErrorCode", "")), _cost(form))

    def _signed(self, url: str, form: Mapping[str, str], signature: str) -> bool:
        parts = urlsplit(url)
        # Twilio signs https addresses without and others with their port, whatever was given.
        spellings = {url, remove_port(parts), add_port(parts)}
        expected = [self._validator.compute_signature(spelling, form) for spelling in spellings]
        matches = [hmac.compare_digest(one.encode(), signature.encode()) for one in expected]
        return any(matches)


def delivery_of(status: str, sid: str, code: str) -> Delivery:
    """Return what a status of Twilio's means; `code` is the error code that came with it, "" if none."""
    stage = STAGES.get(status, 0)
    return (
        _failure(status, sid, code)
        if stage == FINAL and status in _PROBLEMS
        else Delivery(status, stage, sid)
    )


def _failure(status: str, sid: str, code: str) -> Delivery:
    number = int(code) if code.isascii() and code.isdigit() and len(code) < 7 else None
    if number is None:
        return Delivery(status, FINAL, sid, problem=_PROBLEMS[status], cause=f"Twilio: {status}")
    failure = twilio_failure(0, number)
    problem = failure.public if "public" in vars(failure) else _PROBLEMS[status]
    return Delivery(
        status=status,
        stage=FINAL,
        sid=sid,
        error=str(number),
        problem=problem,
        cause=failure.detail,
        mend=failure.mend,
    )


def _cost(form: Mapping[str, str]) -> Cost | None:
    return cost_of(form.get("Price"), form.get("PriceUnit"))
