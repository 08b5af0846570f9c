"""The Verify v2 part of the local Twilio: codes that Twilio makes, sends and checks by itself."""

import re
import secrets
import time
from collections.abc import Callable, Mapping

from aiohttp import web

from tests.twilio_rules import (
    ACCOUNT_SID,
    E164,
    LIFETIME,
    MAX_CHECKS,
    MAX_SENDS,
    VERIFY_SERVICE_SID,
    Message,
    Refused,
    Verification,
    form_of,
)


class FakeVerify:
    """One Verify service. `deliver` takes its messages; `prices` has what an attempt cost, by its SID."""

    def __init__(
        self, clock: Callable[[], float], deliver: Callable[[Message], None], prices: Mapping[str, str]
    ) -> None:
        self._clock, self._deliver, self.prices = clock, deliver, prices
        self._verifications: dict[str, Verification] = {}

    async def attempt(self, request: web.Request) -> web.Response:
        sid = request.match_info["sid"]
        price = {"value": self.prices[sid], "currency": "usd"} if sid in self.prices else None
        return web.json_response({"sid": sid, "service_sid": VERIFY_SERVICE_SID, "price": price})

    async def start(self, request: web.Request) -> web.Response:
        form = await form_of(request, {"To", "Channel", "Locale", "CustomFriendlyName"})
        to = form.get("To", "")
        if not E164.fullmatch(to):
            raise Refused(400, 60200, f"Invalid parameter `To`: {to}")
        if form.get("Channel") not in ("sms", "call", "whatsapp"):
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
        return web.json_response(self._answer(verification, to, "pending"), status=201)

    async def check(self, request: web.Request) -> web.Response:
        form = await form_of(request, {"To", "Code", "VerificationSid"})
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
            self._answer(verification, to, "approved" if right else "pending"), status=201
        )

    def _pending(self, to: str) -> Verification | None:
        verification = self._verifications.get(to)
        if verification is None or self._clock() >= verification.created + LIFETIME:
            return None
        return verification

    def _answer(self, verification: Verification, to: str, status: str) -> dict[str, object]:
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
