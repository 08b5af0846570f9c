"""A local Twilio: Messages, Calls and Verify v2 as Twilio documents them, strict about what a client sends.

In tests: `async with FakeTwilio() as twilio:` and read `twilio.messages`. By hand: `python tests/fake_twilio.py`,
then `sms.base_url: http://127.0.0.1:8090`; messages appear on the terminal. Twilio's "magic" numbers for test
credentials answer with the errors that Twilio gives them. Status callbacks are signed and posted when a test says
so (`report`), or by themselves with `callbacks=("sent", "delivered")`. It differs from Twilio in one point: unknown
form fields are refused, so that a typo in a field name can't go unseen.
"""

import argparse
import asyncio
import base64
import contextlib
import hashlib
import hmac
import re
import secrets
import ssl
import time
from collections import deque
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any

from aiohttp import ClientSession, web

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
MESSAGE_FIELDS = {"To", "From", "MessagingServiceSid", "Body", "StatusCallback", "ValidityPeriod"}
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


class FakeTwilio:
    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.time,
        on_message: Callable[[Message], None] | None = None,
        port: int = 0,
        tls: ssl.SSLContext | None = None,
        callbacks: tuple[str, ...] = (),
    ) -> None:
        self.messages: list[Message] = []
        self.calls: list[Call] = []
        self.prices: dict[str, str] = {}  # SID -> what the resource says, such as "-0.00790"
        self._callbacks = callbacks
        self._reporting: set[asyncio.Task[None]] = set()
        self.requests: list[str] = []  # "POST /path", whatever became of it
        self.url = ""
        self._clock = clock
        self._on_message = on_message
        self._tls, self._port = tls, port
        self._failures: deque[Failure] = deque()
        self._verifications: dict[str, Verification] = {}
        self._released = asyncio.Event()
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        app = web.Application(middlewares=[self._front])
        verify = f"/v2/Services/{VERIFY_SERVICE_SID}"
        app.router.add_post(f"/2010-04-01/Accounts/{ACCOUNT_SID}/Messages.json", self._create_message)
        account = f"/2010-04-01/Accounts/{ACCOUNT_SID}"
        app.router.add_post(f"{account}/Calls.json", self._create_call)
        app.router.add_get(f"{account}/{{kind:Messages|Calls}}/{{sid}}.json", self._resource)
        app.router.add_get("/v2/Attempts/{sid}", self._attempt)
        app.router.add_post(f"{verify}/Verifications", self._start_verification)
        app.router.add_post(f"{verify}/VerificationCheck", self._check_verification)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port, ssl_context=self._tls).start()
        bound = self._runner.addresses[0][1]
        self.url = f"{'https' if self._tls else 'http'}://127.0.0.1:{bound}"

    async def stop(self) -> None:
        self._released.set()
        await asyncio.gather(*self._reporting)
        if self._runner is not None:
            await self._runner.cleanup()

    async def __aenter__(self) -> "FakeTwilio":
        await self.start()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.stop()

    def code_for(self, to: str) -> str:
        """The code in the newest message to `to`."""
        return next(m.code for m in reversed(self.messages) if m.to == to)

    async def report(
        self,
        one: Message | Call,
        status: str,
        error: int | None = None,
        *,
        signature: str | None = None,
        changed: Mapping[str, str] | None = None,
        more: Mapping[str, str] | None = None,
    ) -> int:
        """Post a status callback and return the answer's status. `changed` fields are changed after signing."""
        url = one.fields["StatusCallback"]
        fields = {**_callback(one, status, error), **(more or {})}
        signature = sign(url, fields) if signature is None else signature
        headers = {"X-Twilio-Signature": signature, "I-Twilio-Idempotency-Token": secrets.token_hex(8)}
        async with (
            ClientSession() as session,
            session.post(url, data={**fields, **(changed or {})}, headers=headers) as answer,
        ):
            return answer.status

    async def reported(self) -> None:
        """All callbacks that were begun are answered."""
        await asyncio.gather(*self._reporting)

    async def _report_all(self, one: Message) -> None:
        for status in self._callbacks:
            await self.report(one, status)

    def fail_next(self, times: int = 1, **failure: Any) -> None:
        """`failure` is status, code, headers or body."""
        self._failures.extend([Failure("error", **failure)] * times)

    def limit_rate(self, times: int = 1, *, retry_after: str | None = None) -> None:
        headers = {"Retry-After": retry_after} if retry_after is not None else {}
        self.fail_next(times, status=429, code=20429, headers=headers)

    def hang_next(self, times: int = 1) -> None:
        self._failures.extend([Failure("hang")] * times)

    def drop_next(self, times: int = 1) -> None:
        self._failures.extend([Failure("drop")] * times)

    @web.middleware
    async def _front(self, request: web.Request, handler: Callable[..., object]) -> web.StreamResponse:
        self.requests.append(f"{request.method} {request.path}")
        await request.read()
        if self._failures:
            return await self._fail(request, self._failures.popleft())
        try:
            _authenticate(request)
            return await handler(request)  # type: ignore[misc,no-any-return]
        except Refused as error:
            return _error(error.status, error.code, error.message)
        except web.HTTPNotFound:
            return _error(404, 20404, f"The requested resource {request.path} was not found")

    async def _fail(self, request: web.Request, failure: Failure) -> web.StreamResponse:
        if failure.kind == "hang":
            await self._released.wait()
        if failure.kind in {"hang", "drop"} and request.transport is not None:
            request.transport.close()
        if failure.body is not None:
            return web.Response(status=failure.status, text=failure.body, content_type="text/html")
        return _error(failure.status, failure.code, "told to fail", failure.headers)

    async def _create_message(self, request: web.Request) -> web.Response:
        form = await _form(request, MESSAGE_FIELDS)
        _check_message(form)
        to, service = form["To"], form.get("MessagingServiceSid")
        message = Message(
            "SM" + secrets.token_hex(16), to, form["Body"], form.get("From") or service or "", form
        )
        self._deliver(message)
        if self._callbacks and "StatusCallback" in form:
            task = asyncio.get_running_loop().create_task(self._report_all(message))
            self._reporting.add(task)
        now = formatdate(self._clock())
        path = f"/2010-04-01/Accounts/{ACCOUNT_SID}/Messages/{message.sid}"
        answer = {
            "account_sid": ACCOUNT_SID,
            "api_version": "2010-04-01",
            "sid": message.sid,
            "to": to,
            "from": form.get("From"),
            "messaging_service_sid": service,
            "body": message.body,
            "status": "accepted" if service else "queued",
            "direction": "outbound-api",
            "date_created": now,
            "date_updated": now,
            "date_sent": None,
            "error_code": None,
            "error_message": None,
            "num_media": "0",
            "num_segments": "1",
            "price": None,
            "price_unit": None,
            "uri": f"{path}.json",
            "subresource_uris": {"media": f"{path}/Media.json"},
        }
        return web.json_response(answer, status=201)

    async def _create_call(self, request: web.Request) -> web.Response:
        form = await _form(request, CALL_FIELDS, lists={"StatusCallbackEvent"})
        to, sender = form.get("To", ""), form.get("From", "")
        if not E164.fullmatch(to):
            raise Refused(400, 21211, f"The 'To' number {to} is not a valid phone number.")
        if sender != FROM:
            raise Refused(400, 21210, f"The source phone number provided, {sender}, is not yet verified")
        if not form.get("Twiml", "").startswith("<?xml"):
            raise Refused(400, 21205, "Url parameter is required.")
        call = Call("CA" + secrets.token_hex(16), to, form["Twiml"], sender, form)
        self.calls.append(call)
        answer = {
            "sid": call.sid,
            "account_sid": ACCOUNT_SID,
            "to": to,
            "from": sender,
            "status": "queued",
            "price": None,
            "price_unit": "USD",
            "direction": "outbound-api",
            "api_version": "2010-04-01",
        }
        return web.json_response(answer, status=201)

    async def _resource(self, request: web.Request) -> web.Response:
        sid = request.match_info["sid"]
        if all(one.sid != sid for one in (*self.messages, *self.calls)):
            raise web.HTTPNotFound
        answer = {"sid": sid, "account_sid": ACCOUNT_SID, "price": self.prices.get(sid), "price_unit": "USD"}
        return web.json_response(answer)

    async def _attempt(self, request: web.Request) -> web.Response:
        sid = request.match_info["sid"]
        price = {"value": self.prices[sid], "currency": "usd"} if sid in self.prices else None
        return web.json_response({"sid": sid, "service_sid": VERIFY_SERVICE_SID, "price": price})

    async def _start_verification(self, request: web.Request) -> web.Response:
        form = await _form(request, {"To", "Channel", "Locale", "CustomFriendlyName"})
        to = form.get("To", "")
        if not E164.fullmatch(to):
            raise Refused(400, 60200, f"Invalid parameter `To`: {to}")
        if form.get("Channel") not in ("sms", "call"):
            raise Refused(400, 60200, "Invalid parameter: Channel")
        verification = self._pending(to)
        if verification is None:
            code = f"{secrets.randbelow(10**6):06}"
            verification = Verification("VE" + secrets.token_hex(16), code, self._clock())
            self._verifications[to] = verification
        if verification.sends >= MAX_SENDS:
            raise Refused(429, 60203, "Max send attempts reached")
        verification.sends += 1
        attempt = {"attempt_sid": "VL" + secrets.token_hex(16), "channel": form["Channel"]}
        verification.attempts.append(attempt)
        body = f"Your Demo verification code is: {verification.code}"
        self._deliver(Message("SM" + secrets.token_hex(16), to, body, VERIFY_SERVICE_SID, form))
        return web.json_response(self._verification_answer(verification, to, "pending"), status=201)

    async def _check_verification(self, request: web.Request) -> web.Response:
        form = await _form(request, {"To", "Code", "VerificationSid"})
        code, to = form.get("Code", ""), form.get("To", "")
        if not re.fullmatch(r"\d{4,10}", code):
            raise Refused(400, 60200, "Invalid parameter: Code")
        verification = self._pending(to)
        if verification is None:
            raise web.HTTPNotFound
        if verification.checks >= MAX_CHECKS:
            raise Refused(429, 60202, "Max check attempts reached")
        verification.checks += 1
        right = secrets.compare_digest(code, verification.code)
        if right:
            del self._verifications[to]
        return web.json_response(
            self._verification_answer(verification, to, "approved" if right else "pending"), status=201
        )

    def _pending(self, to: str) -> Verification | None:
        verification = self._verifications.get(to)
        if verification is None or self._clock() >= verification.created + LIFETIME:
            return None
        return verification

    def _verification_answer(self, verification: Verification, to: str, status: str) -> dict[str, object]:
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self._clock()))
        return {
            "sid": verification.sid,
            "service_sid": VERIFY_SERVICE_SID,
            "account_sid": ACCOUNT_SID,
            "to": to,
            "channel": "sms",
            "status": status,
            "valid": status == "approved",
            "amount": None,
            "payee": None,
            "date_created": now,
            "date_updated": now,
            "send_code_attempts": verification.attempts,
        }

    def _deliver(self, message: Message) -> None:
        self.messages.append(message)
        if self._on_message is not None:
            self._on_message(message)


def _authenticate(request: web.Request) -> None:
    expected = base64.b64encode(f"{ACCOUNT_SID}:{AUTH_TOKEN}".encode()).decode()
    if request.headers.get("Authorization") != f"Basic {expected}":
        raise Refused(401, 20003, "Authenticate")


def sign(url: str, fields: Mapping[str, str], token: str = AUTH_TOKEN) -> str:
    """As https://www.twilio.com/docs/usage/webhooks/webhooks-security says: the URL and the fields sorted by name."""
    signed = url + "".join(name + fields[name] for name in sorted(fields))
    return base64.b64encode(hmac.new(token.encode(), signed.encode(), hashlib.sha1).digest()).decode()


def _callback(one: Message | Call, status: str, error: int | None) -> dict[str, str]:
    """The fields that Twilio posts for a message or a call."""
    shared = {"AccountSid": ACCOUNT_SID, "From": one.sender, "To": one.to, "ApiVersion": "2010-04-01"}
    if isinstance(one, Call):
        own = {"CallSid": one.sid, "CallStatus": status, "Direction": "outbound-api", "SequenceNumber": "0"}
    else:
        own = {"MessageSid": one.sid, "SmsSid": one.sid, "MessageStatus": status, "SmsStatus": status}
    return {**shared, **own, **({"ErrorCode": str(error)} if error else {})}


async def _form(request: web.Request, allowed: set[str], lists: Set[str] = frozenset()) -> dict[str, str]:
    if request.content_type != "application/x-www-form-urlencoded":
        raise Refused(400, 21604, "A 'To' phone number is required.")  # what Twilio says of a JSON body
    form = await request.post()
    for name in form:
        if name not in allowed or (len(form.getall(name)) > 1 and name not in lists):
            raise Refused(400, 20001, f"Unknown or repeated parameter: {name}")
    return {name: str(value) for name, value in form.items()}


def _check_message(form: Mapping[str, str]) -> None:
    to, sender, body = form.get("To", ""), form.get("From", ""), form.get("Body", "")
    if not to:
        raise Refused(400, 21604, "A 'To' phone number is required.")
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
    if sender and sender != FROM:
        raise Refused(400, 21606, f"The From phone number {sender} is not a valid, SMS-capable number")
    if not body:
        raise Refused(400, 21602, "Message body is required.")
    if len(body) > 1600:
        raise Refused(400, 21617, "The concatenated message body exceeds the 1600 character limit.")


def _error(
    status: int, code: int | None, message: str, headers: Mapping[str, str] | None = None
) -> web.Response:
    answer: dict[str, object] = {"message": message, "status": status}
    if code is not None:
        answer |= {"code": code, "more_info": f"https://www.twilio.com/docs/errors/{code}"}
    return web.json_response(answer, status=status, headers=headers)


async def _serve(port: int) -> None:
    async with FakeTwilio(
        port=port, on_message=lambda m: print(f"SMS to {m.to}: {m.body}", flush=True)
    ) as twilio:
        print(
            f"fake Twilio at {twilio.url}, account {ACCOUNT_SID}, token {AUTH_TOKEN}, from {FROM}", flush=True
        )
        await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A local Twilio; messages appear on the terminal.")
    parser.add_argument("--port", type=int, default=8090)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(parser.parse_args().port))
