"""Rule 7, the other side: an app that answers oddly or endlessly can neither exhaust us nor confuse a client."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gateway.server.fastpath import FastPath
from tests.rig import running_gateway
from tests.security.raw import exchange, first_head, status_of

ASK = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
MUCH = 12_000_000
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n"


@dataclass
class App:
    """Answers with `start` and then, without end, with `then`, or once more with `later`.

    `later` comes once `answered` is set. `sent` is how much of the endless part one connection took.
    """

    start: bytes = b""
    then: bytes = b""
    later: bytes = b""
    sent: int = 0
    answered: asyncio.Event = field(default_factory=asyncio.Event)
    finished: asyncio.Event = field(default_factory=asyncio.Event)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sent = 0
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(self.start)
            while self.then and sent < MUCH:
                writer.write(self.then * 100)
                await writer.drain()
                sent += len(self.then) * 100
                self.sent = max(sent, self.sent)
            if self.later:
                await self.answered.wait()
                writer.write(self.later)
                self.finished.set()
            await reader.read()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def gateway_before(app: App, folder: Path, *, fast_path: bool) -> AsyncIterator[tuple[int, FastPath]]:
    """The port of a gateway, and its fast path."""
    async with await asyncio.start_server(app.answer, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        routes = [{"host": "*", "upstream": url, "policy": {"require": "bypass"}}]
        async with running_gateway(folder, routes=routes, server={"fast_path": fast_path}) as rig:
            yield rig.port, rig.gateway._fast


ENDLESS = {
    "early hints": (b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
    "a reason": (b"HTTP/1.1 200 ", b"a" * 100),
    "a header": (OK + b"X: ", b"a" * 100),
    "headers": (OK, b"X: a\r\n"),
    "trailers": (CHUNKED + b"0\r\n", b"X: a\r\n"),
    "a trailer": (CHUNKED + b"0\r\nX: ", b"a" * 100),
}


@pytest.mark.parametrize("fast_path", [True, False])
async def test_a_head_or_trailers_without_end_are_cut_off(tmp_path: Path, fast_path: bool) -> None:
    app = App()
    async with gateway_before(app, tmp_path, fast_path=fast_path) as (port, _):
        for name, (app.start, app.then) in ENDLESS.items():
            app.sent = 0
            answer = await exchange(port, ASK)
            assert not answer.endswith(b"0\r\n\r\n"), name
            assert 0 < app.sent < MUCH, name


ODD = {
    "both framings": OK + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "a coding below chunked": OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "a coding above chunked": OK + b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    "chunked twice": OK + b"Transfer-Encoding: chunked\r\n" * 2 + b"\r\n0\r\n\r\n",
    "a folded cookie": OK + b"Set-Cookie: a=\r\n auth_session=b\r\nContent-Length: 0\r\n\r\n",
    "a bare CR": OK + b"X: a\rSet-Cookie: auth_session=b\r\nContent-Length: 0\r\n\r\n",
    "a bare LF": OK + b"X: a\nSet-Cookie: auth_session=b\r\nContent-Length: 0\r\n\r\n",
    "a status that is none": b"HTTP/1.1 099 Odd\r\nContent-Length: 0\r\n\r\n",
    "a switch nobody asked for": b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
}


@pytest.mark.parametrize("fast_path", [True, False])
async def test_an_answer_that_could_be_read_in_two_ways_is_502(tmp_path: Path, fast_path: bool) -> None:
    app = App()
    async with gateway_before(app, tmp_path, fast_path=fast_path) as (port, _):
        for name, app.start in ODD.items():
            assert status_of(await exchange(port, ASK)) == 502, name


@pytest.mark.parametrize("fast_path", [True, False])
async def test_an_app_cannot_take_the_length_away_from_its_answer(tmp_path: Path, fast_path: bool) -> None:
    app = App(OK + b"Connection: content-length\r\nContent-Length: 1\r\n\r\na")
    async with gateway_before(app, tmp_path, fast_path=fast_path) as (port, _):
        assert b"\r\nContent-Length: 1\r\n" in await exchange(port, ASK)


@pytest.mark.parametrize("fast_path", [True, False])
async def test_what_an_app_says_beyond_its_answer_reaches_nobody(tmp_path: Path, fast_path: bool) -> None:
    app = App()
    beyond = OK + b"Content-Length: 4\r\n\r\nevil"
    framed = {
        b"Content-Length: 1\r\n\r\na": b"\r\n\r\na",
        b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n": b"\r\n0\r\n\r\n",
    }
    async with gateway_before(app, tmp_path, fast_path=fast_path) as (port, _):
        for answer, end in framed.items():
            for app.start, app.later in ((OK + answer + beyond, b""), (OK + answer, beyond)):
                for _ in range(
                    2
                ):  # the app answers once on each connection: one that was kept would be silent
                    assert (await exchange(port, ASK)).endswith(end)
                    if app.later:
                        app.answered.set()
                        await app.finished.wait()  # while the connection is idle
                    app.answered.clear()
                    app.finished.clear()


async def test_large_heads_of_answers_are_not_kept_in_memory(tmp_path: Path) -> None:
    """Clients can have a part in them, and they would be kept for each client."""
    app = App()
    async with gateway_before(app, tmp_path, fast_path=True) as (port, fast):
        for size, kept in ((100, True), (8000, False)):
            app.start = OK + b"Connection: close\r\nX: %b\r\nContent-Length: 0\r\n\r\n" % (b"a" * size)
            assert status_of(await first_head(port, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")) == 200
            plans = filter(None, fast._plans._plans.values())
            heads = [head for plan in plans for made in plan.rendered.values() for head, _ in made.answers]
            assert (max(map(len, heads)) > size) is kept
