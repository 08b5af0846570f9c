"""Twilio is away for a while: that costs nobody a budget, a block or money, and the operator hears of it once."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.fake_twilio import FakeTwilio
from tests.sms_rig import ask_for_code, sms_gateway, spent

RANGE = "+49151123"


def events(caplog: pytest.LogCaptureFixture, name: str) -> Sequence[dict[str, Any]]:
    found = [getattr(record, "fields", {}) for record in caplog.records]
    return [one for one in found if one.get("event") == name]


@pytest.mark.parametrize("break_next", [FakeTwilio.fail_next, FakeTwilio.drop_next])
async def test_an_outage_of_twilio_blocks_no_range_spends_no_budget_and_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, break_next: Callable[[FakeTwilio], None]
) -> None:
    caplog.set_level(logging.INFO)
    limits = {"pumping": {"sends": 5}, "budgets": {"user_hourly": 2}, "retries": 0}
    async with FakeTwilio() as twilio, sms_gateway(tmp_path, twilio, **limits) as rig:
        names = [f"user{number}" for number in range(6)]
        for number, name in enumerate(names):
            await rig.add_user(name, phone=f"{RANGE}0{number:03d}")
        for name in (*names, names[0], names[0]):
            break_next(twilio)
            async with rig.browser() as browser:
                await browser.password(name)
                assert (await browser.get("/_auth/verify")).status == 503
            rig.clock.advance(31)
        assert twilio.messages == []
        assert await spent(rig) == 0

        rig.clock.advance(200)  # long enough for silence to count against the range
        async with rig.browser() as browser:
            await ask_for_code(browser, names[0])
        assert [message.to for message in twilio.messages] == [f"{RANGE}0000"]
        assert len(events(caplog, "sms_outage")) == 1
        alarms = [record for record in caplog.records if record.levelno >= logging.ERROR]
        assert [record.getMessage().split(":")[0] for record in alarms] == ["SMS can't be sent"]
        assert "SMS are sent again" in caplog.text


@pytest.mark.parametrize(("status", "code", "told"), [(401, 20003, 1), (429, 60203, 0), (400, 30450, 0)])
async def test_refused_credentials_are_an_outage_and_one_numbers_own_limit_is_none(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, status: int, code: int, told: int
) -> None:
    caplog.set_level(logging.INFO)
    async with (
        FakeTwilio() as twilio,
        sms_gateway(tmp_path, twilio, retries=0) as rig,
        rig.browser() as browser,
    ):
        await rig.add_user()
        twilio.fail_next(status=status, code=code)
        await browser.password()
        assert (await browser.get("/_auth/verify")).status == 503
        assert len(events(caplog, "sms_outage")) == told
