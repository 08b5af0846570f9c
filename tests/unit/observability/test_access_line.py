"""A line made of fragments that are kept is byte for byte what the formatters make of the same fields."""

import asyncio
import io
import json
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config.schema import Log
from gateway.model import Decision, Principal, SessionRecord, Target, User, Verdict
from gateway.observability.access_line import FactorAges, LineStems, milliseconds
from gateway.observability.access_log import AccessLog, Trace
from gateway.observability.log import JsonFormatter, TextFormatter, configure, current_handler
from tests.waiting import PATIENCE

Form = Literal["json", "text"]
NOW = 1_796_000_000.98765
ODD = [
    "",
    "plain",
    'a"b\\c',
    "a\nb\r\tc\x00\x1b[2J\x7f",
    "\x85\u2028\u2029\u202e\ufeff",
    "ü 日本 \U0001f600",
    "\ud800 half a pair",
    '", "user": "root',
    "event=login user=root",
    "{}%s{0}%(x)s",
    "x" * 9000,
]


@contextmanager
def logging_to(form: Form, stream: Any) -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        configure(Log(format=form), stream)
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)


def principal(name: str, proven: dict[str, float]) -> Principal:
    return Principal(User(name), SessionRecord("s", name, (*proven, "never"), proven, 0.0, 0.0, 1e12))


def written(form: Form, who: Principal | None, text: str, verdict: Verdict, reason: str) -> str:
    target = Target("http", text, None, "GET", "/", "", ip_address("2001:db8::7"))
    stems = LineStems(target=target, principal=who, route=text, upstream=text, agent=text)
    decision = Decision(verdict, text, text)
    stream = io.StringIO()
    with logging_to(form, stream):
        access = AccessLog(Log())
        for _ in range(2):  # the second is of the stem that is known by then
            access.like(stems.of(decision, reason), text, "GET", text, 200, 0.01234, 17, NOW)
    return stream.getvalue()


def as_the_formatter_has_it(
    form: Form, who: Principal | None, text: str, verdict: Verdict, reason: str
) -> str:
    trace = Trace(text, factors={})
    trace.decided(Decision(verdict, text, reason or text), who, NOW)
    fields = {
        "event": "request",
        "id": text,
        "client": "2001:db8::7",
        "method": "GET",
        "host": text,
        "path": text,
        "status": 200,
        "ms": 12.34,
        "route": text,
        "user": trace.user,
        "verdict": trace.verdict,
        "reason": trace.reason,
        "rule": trace.rule,
        "factors": trace.factors,
        "upstream": text,
        "bytes": 17,
        "agent": text[:256],
    }
    record = logging.LogRecord("gateway.access", logging.INFO, "", 0, "request", None, None)
    record.created, record.msecs = NOW, float(int(NOW % 1 * 1000))  # by a clock of its own since Python 3.13
    record.fields = fields
    formatter = JsonFormatter() if form == "json" else TextFormatter()
    return formatter.format(record).encode("utf-8", "backslashreplace").decode() + "\n"


@pytest.mark.parametrize("form", ["json", "text"])
@pytest.mark.parametrize("text", ODD)
@pytest.mark.parametrize("verdict", Verdict)
def test_a_kept_line_is_what_the_formatter_makes(
    form: Form, text: str, verdict: Verdict, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "time", lambda: NOW)
    callers = [None, principal("alice", {"password": NOW - 3.5, "sms": NOW + 9}), principal(text, {})]
    for who in callers:
        for reason in ("", f"upstream broke off: {text}"):
            expected = as_the_formatter_has_it(form, who, text, verdict, reason)
            assert written(form, who, text, verdict, reason) == expected * 2
            assert expected.count("\n") == 1


@given(proven=st.lists(st.floats(-50, 50), max_size=3), steps=st.lists(st.floats(-0.7, 0.7), max_size=30))
def test_kept_ages_are_those_of_the_moment(proven: list[float], steps: list[float]) -> None:
    who = principal("alice", {f"factor{n}": NOW - age for n, age in enumerate(proven)})
    ages, now = FactorAges(who), NOW
    for step in [0.0, *steps]:
        now += step
        assert json.loads(ages.json(now)) == ages.at(now)


@given(st.floats(0, 1e5) | st.integers(0, 10**9).map(lambda tenths: tenths / 1e7))
def test_milliseconds_are_written_as_json_writes_them(seconds: float) -> None:
    assert milliseconds(seconds) == json.dumps(round(seconds * 1000, 2))


def stems() -> LineStems:
    target = Target("http", "a", None, "GET", "/", "", ip_address("192.0.2.1"))
    return LineStems(target=target, principal=None, route="r", upstream="u", agent="")


STEM = stems().of(Decision(Verdict.ALLOW, "rule", "reason"))


def note(access: AccessLog, count: int, first: int = 0) -> None:
    for number in range(first, first + count):
        access.like(STEM, str(number), "GET", "/", 200, 0.001, 0, NOW)


def told(path: Path) -> list[str]:
    return [said.get("id") or said["message"] for said in map(json.loads, path.read_text().splitlines())]


@pytest.mark.parametrize("count", [1, 63, 64, 1000])
async def test_a_request_that_was_noted_comes_before_what_is_logged_after_it(
    count: int, tmp_path: Path
) -> None:
    path = tmp_path / "log"
    with path.open("a") as stream, logging_to("json", stream):
        access = AccessLog(Log())
        note(access, count)
        await asyncio.to_thread(logging.getLogger("gateway.test").warning, "then this")
        note(access, count, count)
        logging.getLogger("gateway.test").warning("at last")
        numbers = [str(number) for number in range(2 * count)]
        assert told(path) == [*numbers[:count], "then this", *numbers[count:], "at last"]


async def test_no_request_is_lost_at_a_clean_stop(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with path.open("a") as stream, logging_to("json", stream):
        note(AccessLog(Log()), 70)
        note(AccessLog(Log()), 3, 70)  # another gateway of the process
        assert len(told(path)) < 73
        handler = current_handler()
        assert handler is not None
        handler.flush()  # as `logging.shutdown` does
        assert sorted(told(path), key=int) == [str(number) for number in range(73)]


async def test_a_noted_request_is_written_soon_without_another() -> None:
    reader, writer = os.pipe()
    come: asyncio.Queue[bytes] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    loop.add_reader(reader, lambda: come.put_nowait(os.read(reader, 4096)))
    try:
        with os.fdopen(writer, "w") as stream, logging_to("json", stream):
            access = AccessLog(Log())
            for first in (0, 1):  # and once more, when the first is out
                note(access, 1, first)
                assert json.loads(await asyncio.wait_for(come.get(), PATIENCE))["id"] == str(first)
    finally:
        loop.remove_reader(reader)
        os.close(reader)


async def test_what_waited_in_the_parent_is_not_written_by_its_child(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with path.open("a") as stream, logging_to("json", stream):
        note(AccessLog(Log()), 1)
        handler = current_handler()
        assert handler is not None
        handler.output.forget()
        handler.flush()
        assert told(path) == []


async def test_what_nobody_reads_is_counted_as_lost_when_it_is() -> None:
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    lost: list[int] = []
    try:
        with os.fdopen(writer, "w") as stream, logging_to("json", stream):
            access, handler = AccessLog(Log()), current_handler()
            assert handler is not None
            handler.output.on_loss = lost.append
            for number in range(400):
                access.like(STEM, str(number), "GET", "/" + "x" * 6000, 200, 0.001, 0, NOW)
            counted, read = sum(lost), b""
            while more := (handler.output.flush(), _read(reader))[1]:
                read += more
    finally:
        os.close(reader)
    written = [json.loads(line) for line in read.splitlines()]
    assert sum(line["logger"] == "gateway.access" for line in written) + counted == 400
    assert [line["message"].split()[0] for line in written if line["logger"] == "gateway.log"] == [
        str(counted)
    ]
    assert counted


def _read(reader: int) -> bytes:
    try:
        return os.read(reader, 1 << 20)
    except BlockingIOError:
        return b""
