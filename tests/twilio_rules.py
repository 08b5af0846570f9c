"""What Twilio takes and says: accounts, numbers, messages, calls, signatures and errors, as Twilio documents them."""

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Mapping, Set
from dataclasses import dataclass, field

from aiohttp import web

ACCOUNT_SID = "AC" + "0123456789abcdef" * 2
AUTH_TOKEN = "fake-token-5f3a9c"  # opens nothing but this fake
MESSAGING_SERVICE_SID = "MG" + "0123456789abcdef" * 2
VERIFY_SERVICE_SID = "VA" + "0123456789abcdef" * 2
FROM = "+15005550006"
E164 = re.compile(r"\+[1-9]\d{6,14}")
# https://www.twilio.com/docs/iam/test-credentials
MAGIC_TO = {
    "+15005550001": (21211, "The 'To' number +15005550001 is not a valid phone number."),
    "+15005550002": (21612, "The 'To' phone number: +15005550002, is not currently reachable."),
    "+15005550003": (21408, "Permission to send an SMS has not been enabled for the region: +15005550003."),
    "+15005550004": (21610, "Attempt to send to unsubscribed recipient: +15005550004"),
    "+15005550009": (21614, "'To' number: +15005550009, is not a valid mobile number"),
}
MAGIC_FROM = {
    "+15005550001": (21212, "The 'From' number +15005550001 is not a valid phone number."),
    "+15005550007": (21606, "The From phone number +15005550007 is not a valid, SMS-capable number"),
    "+15005550008": (21611, "This 'From' number has exceeded the maximum number of queued messages"),
}
CALL_FIELDS = {"To", "From", "Twiml", "Timeout", "StatusCallback", "StatusCallbackEvent"}
MESSAGE_FIELDS = {"To", "From", "MessagingServiceSid", "Body", "StatusCallback", "ValidityPeriod"} | {
    "ContentSid",
    "ContentVariables",
}
WHATSAPP_FROM, RCS_FROM = "+15005550010", "demo_agent"
CONTENT_SID, CONTENT_SID_DE = "HX" + "0123456789abcdef" * 2, "HX" + "fedcba9876543210" * 2
SENDERS = {FROM, "+442071838750", "Demo", "12345"}
"""What the account may send text messages from."""
LIFETIME, MAX_SENDS, MAX_CHECKS = 600.0, 5, 5


@dataclass(frozen=True)
class Message:
    sid: str
    to: str
    body: str
    sender: str
    fields: Mapping[str, str]

    @property
    def code(self) -> str:
        """The digits that a user would type."""
        return re.findall(r"\b\d{4,10}\b", self.body)[-1]


@dataclass(frozen=True)
class Call:
    sid: str
    to: str
    twiml: str
    sender: str
    fields: Mapping[str, str]

    @property
    def code(self) -> str:
        """What somebody hears and would type."""
        (spoken,) = set(re.findall(r">((?:\d\. ?)+)<", self.twiml))
        return re.sub(r"\D", "", spoken)


@dataclass
class Verification:
    sid: str
    code: str
    created: float
    sends: int = 0
    checks: int = 0
    attempts: list[dict[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class Failure:
    """What one request gets instead of its answer: an "error", silence ("hang") or a cut connection ("drop")."""

    kind: str
    status: int = 500
    code: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str | None = None


class Refused(Exception):
    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


def authenticate(request: web.Request) -> None:
    expected = base64.b64encode(f"{ACCOUNT_SID}:{AUTH_TOKEN}".encode()).decode()
    if request.headers.get("Authorization") != f"Basic {expected}":
        raise Refused(401, 20003, "Authenticate")


def sign(url: str, fields: Mapping[str, str], token: str = AUTH_TOKEN) -> str:
    """As https://www.twilio.com/docs/usage/webhooks/webhooks-security says: the URL and the fields sorted by name."""
    signed = url + "".join(name + fields[name] for name in sorted(fields))
    return base64.b64encode(hmac.new(token.encode(), signed.encode(), hashlib.sha1).digest()).decode()


def callback_of(one: Message | Call, status: str, error: int | None) -> dict[str, str]:
    """The fields that Twilio posts for a message or a call."""
    shared = {"AccountSid": ACCOUNT_SID, "From": one.sender, "To": one.to, "ApiVersion": "2010-04-01"}
    if isinstance(one, Call):
        own = {"CallSid": one.sid, "CallStatus": status, "Direction": "outbound-api", "SequenceNumber": "0"}
    else:
        own = {"MessageSid": one.sid, "SmsSid": one.sid, "MessageStatus": status, "SmsStatus": status}
    return {**shared, **own, **({"ErrorCode": str(error)} if error else {})}


async def form_of(request: web.Request, allowed: set[str], lists: Set[str] = frozenset()) -> dict[str, str]:
    if request.content_type != "application/x-www-form-urlencoded":
        raise Refused(400, 21604, "A 'To' phone number is required.")  # what Twilio says of a JSON body
    form = await request.post()
    for name in form:
        if name not in allowed or (len(form.getall(name)) > 1 and name not in lists):
            raise Refused(400, 20001, f"Unknown or repeated parameter: {name}")
    return {name: str(value) for name, value in form.items()}


def check_message(form: Mapping[str, str]) -> None:
    to, sender, body = form.get("To", ""), form.get("From", ""), form.get("Body", "")
    if not to:
        raise Refused(400, 21604, "A 'To' phone number is required.")
    channel, separator, address = to.partition(":")
    if separator:
        check_chat(channel, address, form)
        return
    if not E164.fullmatch(to):
        raise Refused(400, 21211, f"The 'To' number {to} is not a valid phone number.")
    if to in MAGIC_TO:
        raise Refused(400, *MAGIC_TO[to])
    service = form.get("MessagingServiceSid")
    if not sender and not service:
        raise Refused(400, 21603, "A 'From' or 'MessagingServiceSid' parameter is required to send a message")
    if service and service != MESSAGING_SERVICE_SID:
        raise Refused(404, 20404, f"The requested resource {service} was not found")
    if sender in MAGIC_FROM:
        raise Refused(400, *MAGIC_FROM[sender])
    if sender and sender not in SENDERS:
        raise Refused(400, 21606, f"The From phone number {sender} is not a valid, SMS-capable number")
    if not body:
        raise Refused(400, 21602, "Message body is required.")
    if len(body) > 1600:
        raise Refused(400, 21617, "The concatenated message body exceeds the 1600 character limit.")


def check_chat(channel: str, address: str, form: Mapping[str, str]) -> None:
    """WhatsApp and RCS: https://www.twilio.com/docs/whatsapp/api, https://www.twilio.com/docs/rcs/send-an-rcs-message"""
    if not E164.fullmatch(address):
        raise Refused(400, 21211, f"Invalid 'To' Phone Number: {address}")
    senders = {"whatsapp": WHATSAPP_FROM, "rcs": RCS_FROM}
    if form.get("From", "").partition(":")[0] != channel:
        raise Refused(400, 21910, "Invalid 'From' and 'To' pair: they should be of the same channel")
    if form["From"] != f"{channel}:{senders[channel]}":
        raise Refused(400, 63007, "Twilio could not find a Channel with the specified From address")
    if "ValidityPeriod" in form or "MessagingServiceSid" in form:
        raise Refused(400, 20001, "not for this channel")
    if "ContentSid" not in form:
        if channel == "whatsapp" or not form.get("Body"):
            raise Refused(400, 63016, "outside the allowed window: use a Message Template")
        return
    if form["ContentSid"] not in (CONTENT_SID, CONTENT_SID_DE):
        raise Refused(400, 21655, "The ContentSid is invalid")
    if set(json.loads(form.get("ContentVariables", "null")) or ()) != {"1"}:
        raise Refused(400, 21656, "The ContentVariables parameter is invalid")


def error_answer(
    status: int, code: int | None, message: str, headers: Mapping[str, str] | None = None
) -> web.Response:
    answer: dict[str, object] = {"message": message, "status": status}
    if code is not None:
        answer |= {"code": code, "more_info": f"https://www.twilio.com/docs/errors/{code}"}
    return web.json_response(answer, status=status, headers=headers)
