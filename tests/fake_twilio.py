"""A local Twilio: Messages, Calls, Verify v2 and Lookup v2 as Twilio documents them, strict about what a client sends.

In tests: `async with FakeTwilio() as twilio:` and read `twilio.messages`. By hand: `python -m tests.fake_twilio`,
then `sms.base_url: http://127.0.0.1:8090`; messages appear on the terminal. Twilio's "magic" numbers for test
credentials answer with the errors that Twilio gives them. Status callbacks are signed and posted when a test says
so (`report`), or by themselves with `callbacks=("sent", "delivered")`. It differs from Twilio in one point: unknown
form fields are refused, so that a typo in a field name can't go unseen.
"""

import argparse
import asyncio
import contextlib
import json
import secrets
import ssl
import time
from collections import deque
from collections.abc import Callable, Mapping
from email.utils import formatdate
from typing import Any

from aiohttp import ClientSession, web

from tests.fake_twilio_lookup import FakeLookup
from tests.fake_twilio_verify import FakeVerify
from tests.twilio_rules import (
    ACCOUNT_SID,
    AUTH_TOKEN,
    CALL_FIELDS,
    E164,
    FROM,
    MESSAGE_FIELDS,
    VERIFY_SERVICE_SID,
    Call,
    Failure,
    Message,
    Refused,
    authenticate,
    callback_of,
    check_message,
    error_answer,
    form_of,
    sign,
)


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
        self.fates: list[tuple[str, int | None]] = []  # status and error of each message when it is looked at
        self.prices: dict[str, str] = {}  # SID -> what the resource says, such as "-0.00790"
        self._callbacks = callbacks
        self._reporting: set[asyncio.Task[None]] = set()
        self.requests: list[str] = []  # "POST /path", whatever became of it
        self.url = ""
        self._clock = clock
        self._on_message = on_message
        self._tls, self._port = tls, port
        self._failures: deque[Failure] = deque()
        self.lookup = FakeLookup()
        self._verify = FakeVerify(clock, self._deliver, self.prices)
        self._released = asyncio.Event()
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        app = web.Application(middlewares=[self._front])
        verify = f"/v2/Services/{VERIFY_SERVICE_SID}"
        app.router.add_post(f"/2010-04-01/Accounts/{ACCOUNT_SID}/Messages.json", self._create_message)
        account = f"/2010-04-01/Accounts/{ACCOUNT_SID}"
        app.router.add_post(f"{account}/Calls.json", self._create_call)
        app.router.add_get(f"{account}/{{kind:Messages|Calls}}/{{sid}}.json", self._resource)
        app.router.add_get("/v2/PhoneNumbers/{number}", self.lookup.fetch)
        app.router.add_get("/v2/Attempts/{sid}", self._verify.attempt)
        app.router.add_post(f"{verify}/Verifications", self._verify.start)
        app.router.add_post(f"{verify}/VerificationCheck", self._verify.check)
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
        fields = {**callback_of(one, status, error), **(more or {})}
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
            authenticate(request)
            return await handler(request)  # type: ignore[misc,no-any-return]
        except Refused as error:
            return error_answer(error.status, error.code, error.message)
        except web.HTTPNotFound:
            return error_answer(404, 20404, f"The requested resource {request.path} was not found")

    async def _fail(self, request: web.Request, failure: Failure) -> web.StreamResponse:
        if failure.kind == "hang":
            await self._released.wait()
        if failure.kind in {"hang", "drop"} and request.transport is not None:
            request.transport.close()
        if failure.body is not None:
            return web.Response(status=failure.status, text=failure.body, content_type="text/html")
        return error_answer(failure.status, failure.code, "told to fail", failure.headers)

    async def _create_message(self, request: web.Request) -> web.Response:
        form = await form_of(request, MESSAGE_FIELDS)
        check_message(form)
        to, service = form["To"], form.get("MessagingServiceSid")
        body = form.get("Body") or f"{json.loads(form['ContentVariables'])['1']} is your verification code"
        message = Message("SM" + secrets.token_hex(16), to, body, form.get("From") or service or "", form)
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
        form = await form_of(request, CALL_FIELDS, lists={"StatusCallbackEvent"})
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
        answer["status"], answer["error_code"] = self.fates[-1] if self.fates else ("queued", None)
        return web.json_response(answer)

    def _deliver(self, message: Message) -> None:
        self.messages.append(message)
        if self._on_message is not None:
            self._on_message(message)


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
