"""docs/logging.md against the program: each field and event is documented, and what is documented exists."""

import ast
import io
import json
import logging
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.config.schema import Log
from gateway.observability import log as gateway_log
from gateway.observability.event_names import EVENT_NAMES
from tests.rig import running_gateway
from tests.security.raw import exchange
from tests.security.test_rule_04_sessions import websocket
from tests.waiting import until

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "logging.md").read_text(encoding="utf-8")
COMMON = {"ts", "level", "logger"}
ANY = "…"
"""Stands for fields that are documented elsewhere."""


def section(heading: str) -> str:
    found = re.search(rf"^## {re.escape(heading)}.*?(?=^## |\Z)", PAGE, re.M | re.S)
    assert found, heading
    return found[0]


def rows(heading: str, table: int = 0) -> list[list[str]]:
    """The cells of a table, its head left out."""
    tables = re.findall(r"(?:^\|.*\n)+", section(heading), re.M)
    return [[cell.strip() for cell in row[1:-1].split("|")] for row in tables[table].splitlines()[2:]]


def fields(heading: str) -> set[str]:
    return {row[0].strip("`") for row in rows(heading)}


def documented_events() -> dict[str, set[str]]:
    return {row[0].strip("`"): set(re.findall(rf"\w+|{ANY}", row[1])) for row in rows("Audit", 1)}


def name_of_event(node: ast.expr) -> str | None:
    """A pattern of the event's name; None if a function only passes it on."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return re.escape(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(name_of_event(part) or r"\w+" for part in node.values)
    return None


def recorded() -> Iterator[tuple[str, str, set[str]]]:
    """File, pattern and fields of all events that the source records."""
    for file in sorted((ROOT / "gateway").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            place = {"record": 0, "tell": 2}.get(node.func.attr)
            if place is None or len(node.args) <= place:
                continue
            pattern = name_of_event(node.args[place])
            if pattern is not None:
                by = {"by"} if ast.unparse(node.func) == "opened.record" else set()
                yield str(file), pattern, by | {word.arg or ANY for word in node.keywords}


def test_the_page_lists_all_audit_events_with_their_fields() -> None:
    documented, seen, calls = documented_events(), defaultdict(set), list(recorded())
    exact = {pattern for _, pattern, _ in calls}
    for file, pattern, found in calls:
        events = [
            one for one in documented if re.fullmatch(pattern, one) and (one == pattern or one not in exact)
        ]
        assert events, f"{file}: event {pattern} is not in docs/logging.md"
        for event in events:
            seen[event] |= found
    assert dict(seen) == documented


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    before, stream = logging.getLogger().handlers[:], io.StringIO()
    gateway_log.configure(Log(), stream)
    yield stream
    logging.getLogger().handlers[:] = before


def entries(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def emitted(stream: io.StringIO, logger: str) -> list[set[str]]:
    return [set(entry) - COMMON for entry in entries(stream) if entry["logger"] == logger]


@pytest.mark.parametrize("fast_path", [True, False])
async def test_lines_have_the_fields_that_the_page_names(
    tmp_path: Path, fast_path: bool, stream: io.StringIO
) -> None:
    routes = [
        {"host": "*", "path": "/dead", "upstream": "http://127.0.0.1:9", "policy": {"require": "bypass"}},
        {"host": "*", "path": "/", "upstream": "UPSTREAM"},
    ]
    async with running_gateway(tmp_path, routes=routes, server={"fast_path": fast_path}) as rig:
        await rig.add_user()
        async with rig.browser() as browser:
            await browser.sign_in()
            for _ in range(3):
                answer = await browser.get("/x?token=hidden", **{"User-Agent": "tester/" + "1" * 500})
            await browser.get("/dead")
        await exchange(rig.port, b"GET / HTTP/1.1\r\nHost: a\r\nX: \x01\r\n\r\n")
        upstream, length = rig.upstream.url, answer.content_length
    access = [entry for entry in entries(stream) if entry["logger"] == "gateway.access"]
    assert all(set(entry) - COMMON == fields("Access") for entry in access)
    last = next(entry for entry in reversed(access) if entry["path"] == "/x")
    assert (last["upstream"], last["bytes"], last["user"]) == (upstream, length, "alice")
    assert last["agent"] == "tester/" + "1" * 249
    assert emitted(stream, "gateway.connection") == [fields("Unreadable requests")]
    assert all(found >= fields("Audit") for found in emitted(stream, "gateway.audit"))
    assert emitted(stream, "gateway.front") == [{"message"}]
    assert "hidden" not in stream.getvalue()


async def test_a_websocket_leaves_its_line_when_it_ends(tmp_path: Path, stream: io.StringIO) -> None:
    routes = [{"host": "*", "path": "/", "upstream": "UPSTREAM", "policy": {"require": "bypass"}}]
    async with running_gateway(tmp_path, handler=websocket, routes=routes) as rig, rig.browser() as browser:
        async with browser.session.ws_connect(f"{rig.url}/ws"):
            assert emitted(stream, "gateway.access") == []
        found = await until(lambda: [one for one in entries(stream) if one["logger"] == "gateway.access"])
        assert [(one["status"], one["upstream"], one["path"]) for one in found] == [
            (101, rig.upstream.url, "/ws")
        ]


def test_an_exception_is_a_field_of_its_line(stream: io.StringIO) -> None:
    try:
        raise ValueError("x")
    except ValueError:
        logging.getLogger("gateway.test").exception("failed")
    assert emitted(stream, "gateway.test") == [fields("Everything else")]


def test_the_examples_have_the_fields_of_their_tables() -> None:
    for heading in ("Access", "Unreadable requests", "Audit", "Everything else"):
        example = re.search(r"```json\n(.*)\n```", section(heading))
        assert example, heading
        told = set(json.loads(example[1]))
        assert told >= COMMON, heading
        more = {word for words in documented_events().values() for word in words}
        known = fields(heading) | COMMON | (more if heading == "Audit" else set())
        assert told <= known, heading


def test_the_list_to_choose_an_event_from_has_all_of_them() -> None:
    assert sorted(EVENT_NAMES) == sorted(documented_events())
    assert len(set(EVENT_NAMES)) == len(EVENT_NAMES)
