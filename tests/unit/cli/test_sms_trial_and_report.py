"""`sms test` sends a real message and says what became of it; `sms report` says who has nothing but SMS."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import Result

from gateway.cli.context import Opened
from gateway.cli.sms.trial import _followed
from gateway.messaging.senders.base import Cost, Report
from gateway.model import User
from gateway.stores.protocols.sms import FINAL, Delivery, SmsMessage
from gateway.stores.sql.sms import SqlSmsMessages
from tests.fake_twilio import FakeTwilio
from tests.fake_vendor import FakeVendor, simple
from tests.sms_rig import sms_config
from tests.software_key import SoftwareKey
from tests.twilio_rules import AUTH_TOKEN

NUMBER = "+4915112345678"
Command = Callable[..., Result]


@pytest.fixture
async def twilio() -> AsyncIterator[FakeTwilio]:
    async with FakeTwilio() as running:
        yield running


@pytest.fixture
async def vendor() -> AsyncIterator[FakeVendor]:
    async with FakeVendor() as running:
        yield running


def write(config: Path, **sms: Any) -> None:
    config.write_text(config.read_text() + yaml.safe_dump({"sms": sms}))


async def said(command: Command, *arguments: str) -> tuple[int, str]:
    """Beside the fakes, which live in this loop."""
    result = await asyncio.to_thread(command, "sms", *arguments)
    return result.exit_code, result.output


async def test_a_message_that_arrives_is_told_with_its_price(
    config: Path, command: Command, twilio: FakeTwilio
) -> None:
    write(config, **sms_config(twilio, status_callbacks=False, default_country="DE"))
    twilio.fates = [("delivered", None)]
    status, text = await said(command, "test", "0151 12345678")
    assert (status, [one.to for one in twilio.messages]) == (0, [NUMBER])
    assert "to +49•••••678 (DE) through twilio\ndelivered after 0 s\nprice: about 0.10 USD" in text
    twilio.fates = [("sent", None)]
    status, text = await said(command, "test", NUMBER, "--wait", "0")
    assert (status, "taken, and not delivered after 0 s: it is sent" in text) == (0, True)
    assert not [secret for secret in (AUTH_TOKEN, NUMBER[3:]) if secret in text]
    status, text = await said(command, "status", "--json")
    assert json.loads(text)["vendors"][0]["messages"] == 2
    assert "sms_test" in (await asyncio.to_thread(command, "audit", "tail")).output


async def test_what_is_refused_or_not_delivered_is_told_with_what_to_do(
    config: Path, command: Command, twilio: FakeTwilio
) -> None:
    write(config, **sms_config(twilio, retries=0, allowed_countries=["DE"]))
    twilio.fail_next(status=401, code=20003)
    status, text = await said(command, "test", NUMBER)
    assert (status, "not sent: Twilio refused the credentials (20003)" in text.replace("Twilio: ", "")) == (
        1,
        True,
    )
    assert "to do: check sms.account_sid" in text
    twilio.fates = [("undelivered", 30005)]
    status, text = await said(command, "test", NUMBER)
    assert (status, "taken, but not delivered: " in text, "(30005)" in text) == (1, True, True)
    status, text = await said(command, "test", "+12025550143")
    assert (status, "not allowed (country)" in text) == (1, True)
    status, text = await said(command, "test", "0151 12345678")
    assert (status, "country code" in text) == (1, True)
    assert len(twilio.messages) == 1
    status, text = await said(command, "status")
    assert "takes nothing" not in text


async def test_the_second_vendor_is_tried_although_the_first_is_well(
    config: Path, command: Command, twilio: FakeTwilio, vendor: FakeVendor
) -> None:
    write(config, **sms_config(twilio), backup=simple(vendor, price=0.07))
    status, text = await said(command, "test", NUMBER, "--backup")
    assert (status, len(vendor.asked), twilio.messages) == (0, 1, [])
    assert "through spare\ntaken; this vendor does not tell whether it arrived" in text
    assert "price: about 0.07 USD" in text
    status, text = await said(command, "status")
    assert "sms: 0.07 USD of" in text
    assert "spare: 1 messages, 0 delivered, 0 failed, 0.07 USD, stands by" in text


async def test_a_message_is_looked_at_until_it_has_arrived_or_the_time_is_over() -> None:
    reports = [Report("", Delivery(status, stage)) for status, stage in (("queued", 1), ("sent", 3))]
    reports.append(Report("", Delivery("delivered", FINAL), Cost(7_900, "USD")))
    pauses: list[float] = []

    async def look() -> Report:
        return reports[len(pauses)]

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    found = await _followed(look, 60.0, sleep)
    assert (found["state"], found["waited"], found["micros"]) == ("delivered", 4.0, 7_900)
    pauses.clear()
    assert (await _followed(look, 2.0, sleep))["state"] == "on its way"


def test_the_report_names_who_has_sms_alone_and_counts_by_country_and_carrier(
    config: Path, command: Command, stored: Callable[..., Any]
) -> None:
    plan = {"nudge_from": "2020-01-01", "deadline": "2020-02-01", "after": "deny", "exempt_groups": ["old"]}
    write(config, provider="console", migration=plan)

    async def work(opened: Opened) -> None:
        people = {"alice": (), "bob": (), "carl": ("old",), "dora": ()}
        for number, (name, groups) in enumerate(people.items()):
            phone = "" if name == "dora" else f"+491511234567{number}"
            await opened.directory.add(User(name, phone=phone, groups=groups))
        await opened.credentials.add(SoftwareKey().stored("bob"))
        from gateway.cli.sms.report import _hashes

        number = _hashes(opened.keys.derive_all(b"numbers"), "+4915112345670")[0]
        for id, session, right in (("a", "s1", 1.0), ("b", "s1", 1.0), ("c", "s2", 0.0)):
            await SqlSmsMessages(opened.engine).add(
                SmsMessage(
                    id=id,
                    username="alice",
                    session=session,
                    masked="+49•••••670",
                    number=number,
                    range="r",
                    country="DE",
                    provider="twilio",
                    channel="sms",
                    micros=100_000,
                    currency="USD",
                    created_at=opened.clock() - 86400,
                    status="delivered",
                    stage=FINAL,
                    verified_at=right,
                )
            )

    stored(work)
    facts = json.loads(command("sms", "report", "--json").output)
    assert (facts["sms_alone"], facts["sms_alone_exempt"], facts["users_with_sms"]) == (
        ["alice"],
        ["carl"],
        3,
    )
    assert facts["plan"]["denies"] is True
    (row,) = facts["rows"]
    assert (row["country"], row["messages"], row["verified"], row["sign_ins"]) == ("DE", 3, 2, 1)
    assert (row["carrier"] != "", row["micros_per_sign_in"]) == (True, 300_000)
    text = command("sms", "report").output
    assert "SMS alone: 1 of 3 users who have SMS\n  alice\n" in text
    assert "plan: SMS has ended on 2020-02-01" in text
    assert f"  DE {row['carrier']}: 3 messages, 3 delivered, 0 failed, 2 verified, 0.30 USD a sign-in" in text
    assert command("sms", "report", "--days", "1").exit_code == 0
