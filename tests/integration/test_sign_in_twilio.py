"""Signing in with codes that go through Twilio: the real client against a local server that checks each request."""

import logging
from pathlib import Path
from typing import Any

import pytest

from tests.fake_twilio import FakeTwilio
from tests.rig import PHONE, running_gateway
from tests.twilio_rules import ACCOUNT_SID, AUTH_TOKEN, FROM, VERIFY_SERVICE_SID


def messages(twilio: FakeTwilio, **more: Any) -> dict[str, Any]:
    return {
        "provider": "twilio",
        "account_sid": ACCOUNT_SID,
        "auth_token": AUTH_TOKEN,
        "from": FROM,
        "base_url": twilio.url,
        **more,
    }


def verify(twilio: FakeTwilio) -> dict[str, Any]:
    return {
        "provider": "twilio_verify",
        "account_sid": ACCOUNT_SID,
        "auth_token": AUTH_TOKEN,
        "service_sid": VERIFY_SERVICE_SID,
        "base_url": twilio.url,
    }


async def test_a_code_through_the_messages_api_opens_the_app(tmp_path: Path) -> None:
    async with (
        FakeTwilio() as twilio,
        running_gateway(tmp_path, sms=messages(twilio)) as rig,
        rig.browser() as browser,
    ):
        await rig.add_user()
        await browser.password()
        await browser.get("/_auth/verify")
        (message,) = twilio.messages
        assert message.to == PHONE
        code = twilio.code_for(PHONE)
        assert message.body.endswith(f"@127.0.0.1 #{code}")  # the line that lets browsers fill the code in
        assert (await browser.code(code)).status == 303
        assert (await browser.get("/")).status == 200


async def test_a_code_of_twilio_verify_opens_the_app_once(tmp_path: Path) -> None:
    async with (
        FakeTwilio() as twilio,
        running_gateway(tmp_path, sms=verify(twilio)) as rig,
        rig.browser() as browser,
        rig.browser() as other,
    ):
        await rig.add_user()
        await browser.password()
        await browser.get("/_auth/verify")
        code = twilio.code_for(PHONE)
        wrong = f"{(int(code) + 1) % 1_000_000:06d}"
        assert (await browser.code(wrong)).status == 401
        assert (await browser.code(code)).status == 303
        await other.password()
        assert (await other.code(code)).status == 401


@pytest.mark.parametrize(
    ("code", "mend"), [(21608, "verif"), (21408, "geo permissions"), (20003, "auth_token")]
)
async def test_a_refusal_tells_the_user_kindly_and_the_operator_what_to_do(
    tmp_path: Path, code: int, mend: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with (
        FakeTwilio() as twilio,
        running_gateway(tmp_path, sms=messages(twilio)) as rig,
        rig.browser() as browser,
    ):
        await rig.add_user()
        await browser.password()
        twilio.fail_next(1, status=400 if code != 20003 else 401, code=code)
        page = await (response := await browser.get("/_auth/verify")).text()
        assert response.status == 503
        assert "couldn’t send your code" in page
        assert str(code) not in page
        events = [getattr(record, "fields", {}) for record in caplog.records]
        (failure,) = [event for event in events if event.get("event") == "send_failed"]
        assert failure["code"] == str(code)
        assert mend in str(failure["mend"]).lower()
        assert (await browser.get("/_auth/verify")).status == 200  # the next try is free


async def test_an_outage_is_tried_again_and_then_admitted(tmp_path: Path) -> None:
    async with (
        FakeTwilio() as twilio,
        running_gateway(tmp_path, sms=messages(twilio, retries=1)) as rig,
        rig.browser() as browser,
    ):
        await rig.add_user()
        await browser.password()
        twilio.fail_next(1, status=503, code=20500)
        assert (await browser.get("/_auth/verify")).status == 200
        async with rig.browser() as later:
            await later.password()
            twilio.fail_next(5, status=503, code=20500)
            assert (await later.get("/_auth/verify")).status == 503
