"""A connection to an app carries another request only if the one before is over, and no request twice that may not."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.both_paths import one_path, read_answer, request, talk
from tests.rig import Rig

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@asynccontextmanager
async def in_front_of_a_hasty_app(fast: bool) -> AsyncIterator[tuple[Rig, list[list[bytes]]]]:
    """It answers each head at once, hangs up at /dies, and notes the heads of each connection."""
    seen: list[list[bytes]] = []

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads: list[bytes] = []
        seen.append(heads)
        try:
            while True:
                heads.append((await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")[0])
                if b"/dies" in heads[-1]:
                    break
                writer.write(OK)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with one_path(fast, upstream=url) as (_, rig):
        yield rig, seen
    server.close()


@pytest.mark.parametrize("fast", [True, False])
async def test_the_rest_of_an_upload_never_swallows_somebody_elses_request(fast: bool) -> None:
    async with in_front_of_a_hasty_app(fast) as (rig, seen):
        reader, writer = await asyncio.open_connection("127.0.0.1", rig.port)
        writer.write(request("/up", "Content-Length: 1000", method="POST") + b"x")
        assert (await read_answer(reader, "POST"))[2] == b"ok"
        (other,) = await talk(rig.port, [request("/other")], ["GET"])
        assert other[2] == b"ok"
        writer.close()
    assert seen == [[b"POST /up HTTP/1.1"], [b"GET /other HTTP/1.1"]]


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("method", ["POST", "PATCH"])
async def test_what_may_not_be_done_twice_is_asked_once_on_a_connection_that_dies(
    fast: bool, method: str
) -> None:
    async with in_front_of_a_hasty_app(fast) as (rig, seen):
        said = await talk(
            rig.port, [request("/first"), request("/dies", method=method)], ["GET", method], in_turn=True
        )
        assert [one[0] for one in said] == [b"HTTP/1.1 200 OK", b"HTTP/1.1 502 Bad Gateway"]
    assert sum(b"/dies" in head for heads in seen for head in heads) == 1
