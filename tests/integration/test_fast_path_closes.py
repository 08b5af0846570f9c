"""A client that says it sends nothing more (RFC 9112 §9.6): answered by the fast path, as the ordinary path does it."""

import asyncio

import pytest

from gateway.server import connection
from tests.both_paths import ANSWERS, both_paths, one_path, request, same, talk

CLOSE = "Connection: close"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_the_last_request_of_a_connection_is_answered_alike(method: str) -> None:
    async with both_paths() as (upstream, fast, ordinary):
        for path in (*ANSWERS, "/big", "/plain?pieces", "/chunked?pieces"):
            segments = [request(), request(path, CLOSE, method=method)]
            said = await same(upstream, fast, ordinary, segments, ["GET", method], in_turn=True)
            assert said[0][2] == b"hello"


@pytest.mark.parametrize("spelling", ["close", "Close", "keep-alive, close", "close, X-A", "closed", ""])
async def test_what_comes_behind_it_is_never_served(spelling: str) -> None:
    """And no other word is taken for it."""
    async with both_paths() as (upstream, fast, ordinary):
        for method, body in (("GET", ""), ("POST", "Content-Length: 0")):
            fields = [f"Connection: {spelling}", *([body] if body else [])]
            segments = [request("/plain", *fields, method=method) + request("/empty")]
            said = await same(upstream, fast, ordinary, segments, [method, "GET"])
            closes = "close" in [word.strip().lower() for word in spelling.split(",")]
            assert len([one for one in said if one[0] == b"HTTP/1.1 200 OK"]) == (1 if closes else 2)


async def test_a_new_connection_for_each_request_costs_no_detour(monkeypatch: pytest.MonkeyPatch) -> None:
    async with one_path(True) as (_, rig):
        await talk(rig.port, [request()], ["GET"])
        monkeypatch.setattr(connection, "OrdinaryAnswer", None)
        for method in ("GET", "POST"):
            data = request(
                "/plain", CLOSE, *(["Content-Length: 0"] if method == "POST" else []), method=method
            )
            reader, writer = await asyncio.open_connection("127.0.0.1", rig.port)
            writer.write(data)
            answer = await reader.read()  # to the end, which is ours to make
            writer.close()
            assert answer.startswith(b"HTTP/1.1 200 OK")
            assert b"\r\nConnection: close\r\n" in answer
            assert answer.endswith(b"\r\n\r\nhello")
