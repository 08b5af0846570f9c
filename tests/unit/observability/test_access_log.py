"""A request's line: the same as the logging module would write, and nothing in it can pass for something else."""

import io
import json
import logging
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config.schema import Log
from gateway.model import Target
from gateway.observability.access_log import AccessLog, Trace
from gateway.observability.log import JsonFormatter, TextFormatter, configure

FORGED = "a user=root event=login"
CONTROLS = (
    "\n",
    "\r",
    "\x1b[2J",
    "\x7f",
    "\x85",
    "\x9b",
    "\u2028",
    "\u2029",
    "\u202e",
    "\u2066",
    "\u200f",
    "\ufeff",
)


@pytest.fixture(params=["json", "text"])
def form(request: pytest.FixtureRequest) -> Iterator[tuple[str, io.StringIO]]:
    root, stream = logging.getLogger(), io.StringIO()
    handlers, level = root.handlers[:], root.level
    configure(Log(format=request.param), stream)
    yield request.param, stream
    root.handlers[:] = handlers
    root.setLevel(level)


def trace(agent: str = "", path: str = "/x", **more: Any) -> Trace:
    target = Target("http", "app.example.com", None, "GET", path, "", ip_address("203.0.113.7"))
    return Trace("c78c35e344fce572", target=target, agent=agent, **more)


@pytest.mark.parametrize("control", CONTROLS)
def test_no_control_or_separator_or_override_is_written_raw(
    control: str, form: tuple[str, io.StringIO]
) -> None:
    kind, stream = form
    AccessLog(Log()).line("GET", trace(agent=f"a{control}b", path=f"/{control}"), 200, 0.001)
    logging.getLogger("gateway.test").warning("refused: %s", f"a{control}b")
    logging.getLogger("gateway.test").info("x", extra={"fields": {"event": "e", "agent": f"a{control}b"}})
    text = stream.getvalue()
    assert control == "\n" or control not in text
    assert text.count("\n") == 3
    assert all(one.isprintable() for one in text.split("\n"))
    if kind == "json":
        said = [json.loads(one) for one in text.split("\n")[:-1]]
        assert [said[0]["agent"], said[2]["agent"]] == [f"a{control}b"] * 2
        assert said[0]["path"] == f"/{control}"


def test_a_value_can_not_pass_for_further_fields_in_text() -> None:
    record = logging.LogRecord("gateway.access", logging.INFO, "", 0, "request", None, None)
    record.fields = {"event": "request", "agent": FORGED, "path": '/"x" y=1', "user": "alice", "rule": ""}
    told = TextFormatter().format(record).partition(": ")[2]
    assert told == f'event=request agent="{FORGED}" path="/\\"x\\" y=1" user=alice rule='


@pytest.mark.parametrize("agent", [FORGED, 'a" user="root', "a\\", "=", "ü", "日本 語"])
def test_the_access_log_quotes_what_a_client_sent(agent: str, form: tuple[str, io.StringIO]) -> None:
    kind, stream = form
    AccessLog(Log()).line("GET", trace(agent=agent), 200, 0.001)
    if kind == "json":
        assert json.loads(stream.getvalue())["agent"] == agent
    else:
        assert stream.getvalue().endswith(f" agent={json.dumps(agent, ensure_ascii=False)}\n")


def test_an_exceptions_text_can_not_pass_for_a_line() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(TextFormatter())
    try:
        raise ValueError("x\n12:00:00 info    audit: event=login user=root\x1b[2J\u2028")
    except ValueError as error:
        record = logging.LogRecord("a", 40, "", 0, "failed", None, (ValueError, error, error.__traceback__))
        handler.emit(record)
    lines = stream.getvalue().split("\n")
    assert all(one.startswith("  ") for one in lines[1:-1])
    assert all(one.isprintable() for one in lines)


TEXT = st.text(st.characters(), max_size=20)


@given(
    agent=TEXT,
    path=TEXT,
    user=TEXT,
    reason=TEXT,
    remote=st.none() | TEXT,
    status=st.sampled_from([101, 200, 404, 499]),
    seconds=st.floats(0, 1e5),
    factors=st.dictionaries(st.sampled_from(["password", "sms", "totp"]), st.integers(0, 10**6)),
    whole=st.booleans(),
)
def test_the_line_is_what_the_logging_module_would_have_written(
    agent: str,
    path: str,
    user: str,
    reason: str,
    remote: str | None,
    status: int,
    seconds: float,
    factors: dict[str, int],
    whole: bool,
) -> None:
    told = trace(
        agent, path, user=user, reason=reason, factors=factors, route="r/", rule="r", verdict="allow"
    )
    if not whole:
        told.target = None
    assert logged(told, status, seconds, remote, "json") == formatted(told, status, seconds, remote)


def logged(
    told: Trace, status: int, seconds: float, remote: str | None, form: Literal["json", "text"]
) -> dict[str, Any]:
    root, stream = logging.getLogger(), io.StringIO()
    handlers, level = root.handlers[:], root.level
    try:
        configure(Log(format=form), stream)
        AccessLog(Log()).line("GET", told, status, seconds, remote=remote)
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
    found: dict[str, Any] = json.loads(stream.getvalue())
    assert list(found)[:3] == ["ts", "level", "logger"]
    return {name: value for name, value in found.items() if name != "ts"}


def formatted(told: Trace, status: int, seconds: float, remote: str | None) -> dict[str, Any]:
    record = logging.LogRecord("gateway.access", logging.INFO, "", 0, "request", None, None)
    record.fields = {
        "event": "request",
        "id": told.request_id,
        "client": str(told.target.client) if told.target else remote,
        "method": "GET",
        "host": told.target.host if told.target else "",
        "path": told.path or (told.target.path if told.target else ""),
        "status": status,
        "ms": round(seconds * 1000, 2),
        "route": told.route,
        "user": told.user,
        "verdict": told.verdict,
        "reason": told.reason,
        "rule": told.rule,
        "factors": told.factors,
        "upstream": told.upstream,
        "bytes": told.sent,
        "agent": told.agent[:256],
    }
    line = JsonFormatter().format(record).encode("utf-8", "backslashreplace")
    found: dict[str, Any] = json.loads(line)
    del found["ts"]
    return found
