"""Rule 7: ambiguous framing and oversized or trickling heads are refused, and the server lives on."""

import asyncio
from pathlib import Path

import pytest

from gateway.request import small_body
from tests.rig import running_gateway
from tests.security.raw import exchange, status_of

OPEN = [{"host": "*", "path": "/", "upstream": "UPSTREAM", "policy": {"require": "bypass"}}]

MALFORMED = {
    "both framings": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "same length twice": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na",
    "length list": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\na",
    "signed length": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\na",
    "hex length": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x1\r\n\r\na",
    "unknown coding": b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    "coding below chunked": b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "odd coding": b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunked twice": b"POST / HTTP/1.1\r\nHost: a\r\n"
    + b"Transfer-Encoding: chunked\r\n" * 2
    + b"\r\n0\r\n\r\n",
    "folded header": b"GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n z\r\n\r\n",
    "space before colon": b"GET / HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n",
    "bare CR": b"GET / HTTP/1.1\r\nHost: a\r\nX: y\rz\r\n\r\n",
    "bare LF": b"GET / HTTP/1.1\nHost: a\n\n",
    "NUL in header": b"GET / HTTP/1.1\r\nHost: a\r\nX: y\x00z\r\n\r\n",
    "bad name": b"GET / HTTP/1.1\r\nHost: a\r\nX(: y\r\n\r\n",
    "no host": b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n",
    "two hosts": b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "bad host": b"GET / HTTP/1.1\r\nHost: a b\r\nConnection: close\r\n\r\n",
    "bad version": b"GET / HTTP/9.1\r\nHost: a\r\n\r\n",
    "no version": b"GET /\r\n\r\n",
    "not http": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "bad chunk": b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nab\r\n0\r\n\r\n",
    "negative chunk": b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\nab\r\n0\r\n\r\n",
    "control in target": b"GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n",
    "trace": b"TRACE / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    "connect": b"CONNECT evil.test:443 HTTP/1.1\r\nHost: evil.test\r\nConnection: close\r\n\r\n",
}


@pytest.mark.parametrize("name", MALFORMED)
async def test_malformed_requests_get_a_4xx_and_the_server_lives(tmp_path: Path, name: str) -> None:
    async with running_gateway(tmp_path, routes=OPEN) as rig:
        answer = await exchange(rig.port, MALFORMED[name])
        assert 400 <= status_of(answer) < 500 or (status_of(answer), name) == (505, "bad version"), answer[
            :200
        ]
        assert answer.count(b"HTTP/") == 1
        after = await exchange(rig.port, b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert status_of(after) == 200


@pytest.mark.parametrize("fast_path", [True, False])
async def test_a_large_body_right_behind_its_head_is_not_taken_for_a_large_head(
    tmp_path: Path, fast_path: bool
) -> None:
    async with running_gateway(tmp_path, routes=OPEN, server={"fast_path": fast_path}) as rig:
        body = b"x" * 1_000_000
        head = b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body)
        for _ in range(5):
            assert status_of(await exchange(rig.port, head + body)) == 200


async def test_oversized_heads_are_431(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, routes=OPEN) as rig:
        long_line = b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 40_000 + b"\r\n\r\n"
        assert status_of(await exchange(rig.port, long_line)) == 431
        many = b"GET / HTTP/1.1\r\nHost: a\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(150)) + b"\r\n"
        assert status_of(await exchange(rig.port, many)) == 431
        in_all = b"GET / HTTP/1.1\r\nHost: a\r\n" + b"".join(
            b"X-%d: " % n + b"y" * 900 + b"\r\n" for n in range(60)
        )
        assert status_of(await exchange(rig.port, in_all)) == 431
        for refused in (long_line, in_all):
            page = await exchange(rig.port, refused)
            assert b"Deleting the cookies of this site often helps" in page, "people get a page"
            assert b"Content-Security-Policy: default-src 'none'" in page
        never_ending = b"GET /" + b"a" * 200_000
        assert status_of(await exchange(rig.port, never_ending)) in (414, 431)


async def test_a_head_that_trickles_in_is_408(tmp_path: Path) -> None:
    server = {"limits": {"head_timeout": "200ms"}}  # short: the rest never comes
    async with running_gateway(tmp_path, routes=OPEN, server=server) as rig:
        assert status_of(await exchange(rig.port, b"GET / HTTP/1.1\r\nHost: a\r\nX-Slow")) == 408


async def test_a_form_of_ours_that_trickles_in_is_408(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(small_body, "READ_WITHIN", 0.2)  # short: the rest never comes
    head = (
        "POST /_auth/login HTTP/1.1\r\nHost: 127.0.0.1:{0}\r\nOrigin: http://127.0.0.1:{0}\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\nusername="
    )
    async with running_gateway(tmp_path) as rig:
        assert status_of(await exchange(rig.port, head.format(rig.port).encode())) == 408


async def test_an_idle_connection_is_closed(tmp_path: Path) -> None:
    server = {"limits": {"keepalive_timeout": "200ms"}}  # short: no request comes
    async with running_gateway(tmp_path, routes=OPEN, server=server) as rig:
        assert await exchange(rig.port, b"") == b""


async def test_too_many_connections_are_turned_away(tmp_path: Path) -> None:
    server = {"limits": {"connections": 1}}
    async with running_gateway(tmp_path, routes=OPEN, server=server) as rig:
        _, writer = await asyncio.open_connection("127.0.0.1", rig.port)  # taken before the next
        assert status_of(await exchange(rig.port, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")) == 503
        writer.close()


async def test_upstream_failures_tell_users_nothing(tmp_path: Path) -> None:
    routes = [{"host": "*", "upstream": "http://127.0.0.1:9", "policy": {"require": "bypass"}}]
    async with running_gateway(tmp_path, routes=routes) as rig, rig.browser() as browser:
        response = await browser.get("/")
        text = await response.text()
        assert response.status == 502
        assert "127.0.0.1:9" not in text
        assert "Traceback" not in text
        assert '<a class="button wide" href="">Try again</a>' in text
