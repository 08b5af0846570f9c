"""Only Twilio moves a message on, each report counts once, and only who waits for a code hears of it (rule 2)."""

from pathlib import Path

import pytest

from tests.fake_twilio import FakeTwilio
from tests.rig import PHONE
from tests.sms_rig import SECOND_PHONE, ask_for_code, delivery, records, sms_gateway
from tests.twilio_rules import sign


async def test_a_report_counts_only_with_twilios_signature(tmp_path: Path) -> None:
    async with FakeTwilio() as twilio, sms_gateway(tmp_path, twilio) as rig, rig.browser() as browser:
        await rig.add_user()
        await ask_for_code(browser)
        message = twilio.messages[0]
        url = message.fields["StatusCallback"]
        assert await twilio.report(message, "delivered", signature="") == 403
        assert await twilio.report(message, "delivered", signature="AAAA") == 403
        assert await twilio.report(message, "delivered", signature="é") == 403
        assert await twilio.report(message, "delivered", signature=sign(url, {}, "other token")) == 403
        assert await twilio.report(message, "sent", changed={"MessageStatus": "delivered"}) == 403
        assert await twilio.report(message, "sent", changed={"Price": "0"}) == 403
        assert (await records(rig))[0].status == "queued"
        assert await twilio.report(message, "delivered") == 204


async def test_a_signature_for_one_message_is_worth_nothing_for_another(tmp_path: Path) -> None:
    async with (
        FakeTwilio() as twilio,
        sms_gateway(tmp_path, twilio) as rig,
        rig.browser() as one,
        rig.browser() as two,
    ):
        await rig.add_user()
        await rig.add_user("bob", phone=SECOND_PHONE)
        await ask_for_code(one)
        await ask_for_code(two, "bob")
        first, second = twilio.messages
        fields = {"MessageSid": second.sid, "MessageStatus": "delivered"}
        form = await one.session.post(
            first.fields["StatusCallback"],
            data=fields,
            headers={"X-Twilio-Signature": sign(second.fields["StatusCallback"], fields)},
        )
        assert form.status == 403
        # Even signed for its address, a report of another message's SID changes nothing.
        await one.session.post(
            first.fields["StatusCallback"],
            data=fields,
            headers={"X-Twilio-Signature": sign(first.fields["StatusCallback"], fields)},
        )
        assert {record.status for record in await records(rig)} == {"queued"}


async def test_replayed_reports_move_nothing_back(tmp_path: Path) -> None:
    async with FakeTwilio() as twilio, sms_gateway(tmp_path, twilio) as rig, rig.browser() as browser:
        await rig.add_user()
        await ask_for_code(browser)
        message = twilio.messages[0]
        for status in ("delivered", "sent", "failed", "queued", "delivered"):
            assert await twilio.report(message, status) == 204
        assert (await records(rig))[0].status == "delivered"


async def test_unknown_messages_and_statuses_are_ignored(tmp_path: Path) -> None:
    async with FakeTwilio() as twilio, sms_gateway(tmp_path, twilio) as rig, rig.browser() as browser:
        url = f"{rig.url}/_auth/sms/status?m=nothing"
        fields = {"MessageSid": "SM0", "MessageStatus": "delivered"}
        answer = await browser.session.post(
            url, data=fields, headers={"X-Twilio-Signature": sign(url, fields)}
        )
        assert answer.status == 204
        await rig.add_user()
        await ask_for_code(browser)
        assert await twilio.report(twilio.messages[0], "teleported") == 204
        assert (await records(rig))[0].status == "queued"


@pytest.mark.parametrize("sms", [{"provider": "console"}, {"status_callbacks": False}])
async def test_nobody_reports_where_nothing_is_reported(tmp_path: Path, sms: dict[str, object]) -> None:
    config = (lambda twilio, **fields: fields) if "provider" in sms else None
    chosen = {"config": config} if config else {}
    async with (
        FakeTwilio() as twilio,
        sms_gateway(tmp_path, twilio, **chosen, **sms) as rig,
        rig.browser() as browser,
    ):
        answer = await browser.post("/_auth/sms/status?m=x", {"MessageStatus": "delivered"})
        assert answer.status == 404


async def test_a_session_hears_of_its_own_codes_only(tmp_path: Path) -> None:
    async with (
        FakeTwilio() as twilio,
        sms_gateway(tmp_path, twilio) as rig,
        rig.browser() as alice,
        rig.browser() as again,
        rig.browser() as bob,
        rig.browser() as nobody,
    ):
        await rig.add_user()
        await rig.add_user("bob", phone="")
        await ask_for_code(alice)
        await twilio.report(twilio.messages[0], "delivered")
        assert (await delivery(alice))["state"] == "delivered"
        await bob.password("bob")
        await again.password()  # the same user in another session
        for other in (bob, again):
            assert (await delivery(other))["state"] == ""
        answer = await nobody.session.get(rig.url + "/_auth/sms/delivery?m=x&user=alice")
        assert answer.status == 401
        assert "deliver" not in (await answer.text()).lower()


async def test_records_hold_no_code_and_no_whole_number(tmp_path: Path) -> None:
    async with FakeTwilio() as twilio, sms_gateway(tmp_path, twilio) as rig, rig.browser() as browser:
        await rig.add_user()
        await ask_for_code(browser)
        (record,) = await records(rig)
        assert PHONE not in repr(record)
        assert PHONE[3:10] not in repr(record)
        assert twilio.code_for(PHONE) not in repr(record)
        assert browser.cookie() not in repr(record)
        assert PHONE not in twilio.messages[0].fields["StatusCallback"]


async def test_unknown_users_and_wrong_passwords_cost_nothing_and_look_the_same(tmp_path: Path) -> None:
    async with FakeTwilio() as twilio, sms_gateway(tmp_path, twilio) as rig, rig.browser() as browser:
        await rig.add_user()
        pages = []
        for name in ("alice", "nobody"):
            answer = await browser.password(name, "wrong password")
            assert (await browser.get("/_auth/verify")).headers["Location"].startswith("/_auth/login")
            pages.append((answer.status, (await answer.text()).replace(name, "NAME")))
        assert pages[0] == pages[1]
        assert twilio.requests == []
        assert await records(rig) == []
