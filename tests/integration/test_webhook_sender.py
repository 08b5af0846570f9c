"""WebhookSender against a real HTTP server that answers what each test tells it to."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from aiohttp import web

from gateway.config.sections.sms_email import SmsWebhook
from gateway.errors import SendFailed
from gateway.messaging.senders.build import build_sms
from gateway.messaging.senders.webhook import WebhookSender
from tests.sending import CODE, PHONE, TEXT, RecordedBackoff, everything_logged, everything_said
from tests.waiting import free_port, leap, until

SECRET = "Bearer hook-secret-81c2"


@dataclass
class Hook:
    """Each answer is (status, headers), "hang" or "drop"; without one it is 200."""

    url: str = ""
    answers: list[tuple[int, dict[str, str]] | str] = field(default_factory=list)
    calls: list[tuple[dict[str, str], object]] = field(default_factory=list)
    released: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle(self, request: web.Request) -> web.Response:
        self.calls.append((dict(request.headers), await request.json()))
        answer = self.answers.pop(0) if self.answers else (200, {})
        if isinstance(answer, str):
            if answer == "hang":
                await self.released.wait()
            assert request.transport
            request.transport.close()
            return web.Response()
        return web.Response(status=answer[0], headers=answer[1])


@pytest.fixture
async def hook() -> AsyncIterator[Hook]:
    hook = Hook()
    app = web.Application()
    app.router.add_post("/sms", hook.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    hook.url = f"http://127.0.0.1:{runner.addresses[0][1]}/sms"
    yield hook
    hook.released.set()
    await runner.cleanup()


def config(url: str, **fields: object) -> SmsWebhook:
    return SmsWebhook.model_validate(
        {"provider": "webhook", "url": url, "headers": {"Authorization": SECRET}, "timeout": "60s", **fields}
    )


async def failure_of(url: str, recorded: RecordedBackoff | None = None, **fields: object) -> SendFailed:
    sender = WebhookSender(config(url, **fields), (recorded or RecordedBackoff()).backoff)
    with pytest.raises(SendFailed) as failed:
        await sender.send(PHONE, TEXT)
    await sender.close()
    return failed.value


async def test_the_message_is_posted_as_json_with_the_configured_headers(hook: Hook):
    sender = build_sms(config(hook.url)).sender
    assert isinstance(sender, WebhookSender)
    id = await sender.send(PHONE, TEXT)
    await sender.close()
    ((headers, body),) = hook.calls
    assert body == {"to": PHONE, "text": TEXT}
    assert headers["Authorization"] == SECRET
    assert headers["Content-Type"].startswith("application/json")
    assert headers["Idempotency-Key"] == id


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
async def test_repeats_carry_the_same_key_and_another_message_another(hook: Hook, status: int):
    hook.answers = [(status, {}), (status, {})]
    recorded = RecordedBackoff(retries=2)
    sender = WebhookSender(config(hook.url), recorded.backoff)
    await sender.send(PHONE, TEXT)
    await sender.send(PHONE, TEXT)
    await sender.close()
    keys = [headers["Idempotency-Key"] for headers, _ in hook.calls]
    assert len(keys) == 4
    assert len(set(keys[:3])) == 1
    assert keys[3] != keys[0]
    assert recorded.pauses == [0.25, 0.5]


async def test_retry_after_is_honoured(hook: Hook):
    hook.answers = [(429, {"Retry-After": "4"})]
    recorded = RecordedBackoff()
    sender = WebhookSender(config(hook.url), recorded.backoff)
    await sender.send(PHONE, TEXT)
    await sender.close()
    assert recorded.pauses == [4.0]


async def test_the_last_failure_is_reported_when_repeats_run_out(hook: Hook):
    hook.answers = [(503, {})] * 9
    failure = await failure_of(hook.url, RecordedBackoff(retries=3))
    assert (failure.code, failure.retryable, len(hook.calls)) == ("503", True, 4)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
async def test_a_refusal_is_final(hook: Hook, status: int):
    hook.answers = [(status, {})]
    failure = await failure_of(hook.url)
    assert (failure.code, failure.retryable, len(hook.calls)) == (str(status), False, 1)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_refused(hook: Hook, status: int):
    hook.answers = [(status, {"Location": hook.url})]
    failure = await failure_of(hook.url)
    assert (failure.code, len(hook.calls)) == ("redirect", 1)


@pytest.mark.parametrize(("trouble", "code"), [("hang", "timeout"), ("drop", "connection_lost")])
async def test_silence_after_the_request_is_not_repeated(hook: Hook, trouble: str, code: str):
    hook.answers = [trouble]
    failing = asyncio.create_task(failure_of(hook.url))
    await until(lambda: hook.calls)
    if trouble == "hang":
        leap(60)
    failure = await failing
    assert (failure.code, failure.retryable, len(hook.calls)) == (code, True, 1)


async def test_a_refused_connection_is_repeated():
    recorded = RecordedBackoff(retries=2)
    failure = await failure_of(f"http://127.0.0.1:{free_port()}/sms", recorded)
    assert failure.code == "connect"
    assert len(recorded.pauses) == 2


async def test_a_hook_that_hangs_blocks_nobody_else(hook: Hook):
    hook.answers = ["hang"]
    sender = WebhookSender(config(hook.url), RecordedBackoff().backoff)
    stuck = asyncio.create_task(sender.send(PHONE, TEXT))
    await until(lambda: hook.calls)
    await sender.send(PHONE, "second")
    assert not stuck.done()
    stuck.cancel()
    await asyncio.gather(stuck, return_exceptions=True)
    await sender.close()


async def test_nothing_secret_is_logged_or_raised(hook: Hook, caplog: pytest.LogCaptureFixture):
    caplog.set_level(0)
    hook.answers = [(500, {}), (401, {})]
    said = everything_said(await failure_of(hook.url)) + everything_logged(caplog)
    assert "send repeated" in said
    for secret in (CODE, PHONE[3:], "hook-secret"):
        assert secret not in said
