"""The second SMS vendor: each preset asks as that vendor documents it, and answers are read as documented."""

import asyncio
import base64
from typing import Any

import pytest

from gateway.config.sections.sms_backup import PRESETS, SmsBackup
from gateway.errors import SendFailed
from gateway.messaging.senders.http_template import PublicResolver, TemplateSender
from tests.fake_vendor import ACCOUNT, SECRET, SENDER, FakeVendor, simple
from tests.sending import CODE, PHONE, TEXT, RecordedBackoff, everything_logged, everything_said
from tests.waiting import leap, until

DIGITS = PHONE[1:]
BASIC = base64.b64encode(f"{ACCOUNT}:{SECRET}".encode()).decode()
VONAGE_TOOK = {"message-count": "1", "messages": [{"to": DIGITS, "message-id": "0C00A35", "status": "0"}]}


def sender_of(backoff: RecordedBackoff | None = None, **section: Any) -> TemplateSender:
    return TemplateSender(SmsBackup.model_validate(section), (backoff or RecordedBackoff()).backoff)


def preset(vendor: FakeVendor, name: str, **more: Any) -> dict[str, Any]:
    path = PRESETS[name].url.partition("://")[2].partition("/")[2]
    return {
        "preset": name,
        "url": f"{vendor.url}/{path}",
        "account": ACCOUNT,
        "secret": SECRET,
        "from": SENDER,
        "allow_private": True,
        **more,
    }


async def sent(vendor: FakeVendor, text: str = TEXT, **section: Any) -> str:
    sender = sender_of(**section)
    try:
        return await sender.send(PHONE, text, "ref-1")
    finally:
        await sender.close()


async def failure_of(
    vendor: FakeVendor, backoff: RecordedBackoff | None = None, **section: Any
) -> SendFailed:
    sender = sender_of(backoff, **section)
    with pytest.raises(SendFailed) as failed:
        await sender.send(PHONE, TEXT, "ref-1")
    await sender.close()
    return failed.value


@pytest.mark.parametrize(
    ("name", "status", "answer", "id", "path", "headers", "body"),
    [
        (
            "vonage",
            200,
            VONAGE_TOOK,
            "0C00A35",
            "/sms/json",
            {},
            {
                "api_key": ACCOUNT,
                "api_secret": SECRET,
                "from": SENDER,
                "to": DIGITS,
                "text": TEXT,
                "type": "text",
            },
        ),
        (
            "messagebird",
            201,
            {"id": "49e40bae", "recipients": {"totalCount": 1}},
            "49e40bae",
            "/messages",
            {"Authorization": f"AccessKey {SECRET}", "Accept": "application/json"},
            {"originator": SENDER, "recipients": DIGITS, "body": TEXT, "datacoding": "auto"},
        ),
        (
            "sinch",
            201,
            {"id": "01FC66621"},
            "01FC66621",
            f"/xms/v1/{ACCOUNT}/batches",
            {"Authorization": f"Bearer {SECRET}"},
            {"from": SENDER, "to": [DIGITS], "body": TEXT},
        ),
        (
            "plivo",
            202,
            {"message": "message(s) queued", "message_uuid": ["db3ce55a-7f1d"], "api_id": "db342550"},
            "db3ce55a-7f1d",
            f"/v1/Account/{ACCOUNT}/Message/",
            {"Authorization": f"Basic {BASIC}"},
            {"src": SENDER, "dst": DIGITS, "text": TEXT, "log": "false"},
        ),
    ],
)
async def test_a_preset_asks_as_its_vendor_documents_it(
    name: str,
    status: int,
    answer: object,
    id: str,
    path: str,
    headers: dict[str, str],
    body: object,
) -> None:
    async with FakeVendor(lambda asked: (status, answer)) as vendor:
        assert await sent(vendor, **preset(vendor, name)) == id
        (asked,) = vendor.asked
        assert (asked.method, asked.path, asked.body) == ("POST", path, body)
        assert headers.items() <= asked.headers.items()


async def test_letters_beyond_gsm_are_told_to_vonage_which_would_print_question_marks() -> None:
    async with FakeVendor(lambda asked: (200, VONAGE_TOOK)) as vendor:
        await sent(vendor, "コード 493817", **preset(vendor, "vonage"))
        assert vendor.asked[0].body["type"] == "unicode"


@pytest.mark.parametrize(
    ("name", "status", "answer", "code"),
    [
        ("vonage", 200, {"messages": [{"status": "9", "error-text": f"for {DIGITS}"}]}, "vonage 9"),
        ("vonage", 200, {"messages": []}, "vonage 200"),
        ("vonage", 200, "<html>", "bad_answer"),
        ("messagebird", 422, {"errors": [{"code": 9, "description": DIGITS}]}, "messagebird 9"),
        ("messagebird", 201, {"id": ""}, "messagebird 201"),
        ("sinch", 400, {"code": "syntax_error", "text": DIGITS}, "sinch syntax_error"),
        ("sinch", 401, "", "sinch 401"),
        ("plivo", 400, {"error": f"{DIGITS} is bad"}, "plivo 400"),
        ("plivo", 200, {"message_uuid": ["x"]}, "plivo 200"),
        ("plivo", 202, {"message_uuid": []}, "plivo 202"),
    ],
)
async def test_a_refusal_is_none_of_the_ways_to_say_yes(
    name: str, status: int, answer: object, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(0)
    async with FakeVendor(lambda asked: (status, answer)) as vendor:
        failure = await failure_of(vendor, **preset(vendor, name))
    assert (failure.code, failure.retryable, len(vendor.asked)) == (code, False, 1)
    said = everything_said(failure) + everything_logged(caplog)
    assert not [secret for secret in (CODE, DIGITS, SECRET, BASIC) if secret in said]


async def test_a_template_says_where_everything_goes_and_no_text_breaks_out_of_its_place() -> None:
    nested = '{"messages": [{"from": "{from}", "destinations": [{"to": "{to}"}], "text": "{text}", "n": 1}]}'
    text = 'a "quote", a \\ and {to} {secret}'
    async with FakeVendor(lambda asked: (200, {"messages": [{"state": "PENDING", "no": 7}]})) as vendor:
        section = simple(
            vendor,
            url=f"{vendor.url}/{{account}}/x?key={{secret}}",
            method="PUT",
            account="a/b",
            secret="s&t",
            form={},
            json=nested,
            headers={"X-Key": "App {secret}"},
            success_path="messages.0.state",
            success_values=["PENDING"],
            id_path="messages.0.no",
        )
        assert await sent(vendor, text, **section) == "7"
        (asked,) = vendor.asked
    assert (asked.method, asked.path) == ("PUT", "/a%2Fb/x?key=s%26t")
    assert asked.headers["X-Key"] == "App s&t"
    assert asked.body == {"messages": [{"from": "", "destinations": [{"to": PHONE}], "text": text, "n": 1}]}


@pytest.mark.parametrize(("status", "tries"), [(429, 2), (500, 2), (503, 2), (504, 1), (400, 1), (307, 1)])
async def test_only_what_was_surely_not_sent_is_repeated_and_no_redirect_followed(
    status: int, tries: int
) -> None:
    async with FakeVendor(lambda asked: (status, {})) as vendor:
        failure = await failure_of(vendor, RecordedBackoff(retries=1), **simple(vendor))
    assert (len(vendor.asked), failure.retryable) == (tries, status == 429 or status >= 500)
    assert failure.code == ("redirect" if status == 307 else f"spare {status}")


@pytest.mark.parametrize(("trouble", "code"), [("hang", "timeout"), ("drop", "connection_lost")])
async def test_silence_is_no_refusal_and_not_repeated(trouble: str, code: str) -> None:
    async with FakeVendor(lambda asked: trouble) as vendor:
        failing = asyncio.create_task(failure_of(vendor, RecordedBackoff(retries=2), **simple(vendor)))
        await until(lambda: vendor.asked)
        if trouble == "hang":
            leap(60)
        assert ((await failing).code, len(vendor.asked)) == (code, 1)


async def test_private_addresses_are_not_asked_whether_written_or_behind_a_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with FakeVendor() as vendor:
        failure = await failure_of(vendor, **simple(vendor, allow_private=False))
        assert failure.code == "private"

        async def at_home(self: object, host: str, port: int = 0, family: int = 0) -> list[dict[str, object]]:
            found = {"hostname": host, "host": "127.0.0.1", "port": port, "family": 2, "proto": 6, "flags": 0}
            return [found]

        monkeypatch.setattr("gateway.messaging.senders.http_template.ThreadedResolver.resolve", at_home)
        url = vendor.url.replace("127.0.0.1", "sms.example.com")
        failure = await failure_of(vendor, **simple(vendor, url=url, allow_private=False))
        assert (failure.code, failure.retryable) == ("private", False)
        assert await sent(vendor, **simple(vendor, url=url)) == "m-1"
        assert len(vendor.asked) == 1


async def test_of_several_addresses_the_public_ones_are_asked() -> None:
    class Inner(PublicResolver):
        def __init__(self) -> None: ...

        async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[dict[str, object]]:
            return [{"host": one} for one in ("10.0.0.1", "93.184.216.34", "::1", "::ffff:127.0.0.1")]

    assert await PublicResolver(Inner).resolve("sms.example.com") == [{"host": "93.184.216.34"}]
