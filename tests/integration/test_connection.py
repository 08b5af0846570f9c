"""A client's connection: each request is answered once, in order, and readably, whatever else happens on it."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from tests.both_paths import RawUpstream, one_path, read_answer, request, talk
from tests.rig import Rig
from tests.waiting import PATIENCE


@pytest.fixture(params=[True, False], ids=["fast", "ordinary"])
async def served(request: pytest.FixtureRequest) -> AsyncIterator[tuple[RawUpstream, Rig]]:
    async with one_path(request.param) as pair:
        yield pair


def asked(upstream: RawUpstream, path: str) -> int:
    return sum(f" {path} ".encode() in head for head in upstream.heads)


# -- draining --------------------------------------------------------------------------------------------------------


async def test_an_idle_connection_is_closed_when_we_drain(served: tuple[RawUpstream, Rig]) -> None:
    """Neither one that was used nor one that never was is left open with nobody behind it, or holds the drain up."""
    _, rig = served
    used, never = [await asyncio.open_connection("127.0.0.1", rig.port) for _ in range(2)]
    used[1].write(request())
    assert (await read_answer(used[0], "GET"))[2] == b"hello"
    async with asyncio.timeout(PATIENCE):
        await rig.gateway.drain(600)
        for reader, writer in (used, never):
            assert await reader.read() == b""
            writer.close()


async def test_a_request_that_arrives_as_we_drain_is_answered_and_told_to_close(
    served: tuple[RawUpstream, Rig],
) -> None:
    _, rig = served
    reader, writer = await asyncio.open_connection("127.0.0.1", rig.port)
    writer.write(request())
    assert (await read_answer(reader, "GET"))[2] == b"hello"
    draining = asyncio.create_task(rig.gateway.drain(600))
    await asyncio.sleep(0)
    writer.write(request("/chunked"))
    answer = await read_answer(reader, "GET")
    assert b"Connection: close" in answer[1]  # type: ignore[operator]
    assert await reader.read() == b""
    writer.close()
    await asyncio.wait_for(draining, PATIENCE)


# -- asked once ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["/upgrade", "/early", "/hints", "/hop", "/trailers", "/folded", "/garbage!"]
)
async def test_an_app_is_asked_once_whatever_it_answers(served: tuple[RawUpstream, Rig], path: str) -> None:
    upstream, rig = served
    await talk(rig.port, [request(), request(path)], ["GET", "GET"], in_turn=True)
    assert asked(upstream, path) == 1


async def test_an_app_that_dies_of_a_request_is_not_asked_again(served: tuple[RawUpstream, Rig]) -> None:
    upstream, rig = served
    (answer,) = await talk(rig.port, [request("/nothing!")], ["GET"])
    assert answer[0] == b"HTTP/1.1 502 Bad Gateway"
    assert asked(upstream, "/nothing!") == 1


async def test_a_request_goes_out_again_only_where_a_kept_connection_was_dead(
    served: tuple[RawUpstream, Rig],
) -> None:
    upstream, rig = served
    await talk(rig.port, [request()], ["GET"])
    (answer,) = await talk(rig.port, [request("/nothing!")], ["GET"])
    assert answer[0] == b"HTTP/1.1 502 Bad Gateway"
    assert asked(upstream, "/nothing!") == 2
    for method in ("POST", "PATCH"):
        await talk(rig.port, [request()], ["GET"])
        upstream.heads.clear()
        (answer,) = await talk(rig.port, [request("/nothing!", method=method)], [method])
        assert answer[0] == b"HTTP/1.1 502 Bad Gateway"
        assert asked(upstream, "/nothing!") == 1


# -- order -----------------------------------------------------------------------------------------------------------


async def test_four_thousand_pipelined_requests_are_answered_in_order(
    served: tuple[RawUpstream, Rig],
) -> None:
    _, rig = served
    many = [("/plain", b"hello"), ("/empty", b""), ("/chunked", b"abcde"), ("/none", b"")] * 1000
    sock = socket.create_connection(("127.0.0.1", rig.port))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send() -> None:  # from a thread, so that each is a segment of its own and meets us at any moment
        for path, _ in many:
            sock.sendall(request(path))

    sending = asyncio.create_task(asyncio.to_thread(send))
    reader, writer = await asyncio.open_connection(sock=sock.dup(), limit=1 << 22)
    async with asyncio.timeout(PATIENCE):
        for number, (path, body) in enumerate(many):
            assert (await read_answer(reader, "GET"))[2] == body, (number, path)
    await sending
    writer.close()
    sock.close()


@pytest.mark.parametrize("at", [1, 20, 60])
async def test_a_pipelined_request_in_two_segments_is_read_first_half_first(
    served: tuple[RawUpstream, Rig], at: int
) -> None:
    _, rig = served
    second = request("/chunked", "X-Long: " + "y" * 40)
    segments = [request("/big") + second[:at], second[at:] + request("/empty")]
    answers = await talk(rig.port, segments, ["GET", "GET", "GET"], 0.001)
    assert [len(answer[2]) for answer in answers] == [2097152, 5, 0]  # type: ignore[arg-type]


@pytest.mark.parametrize("at", [None, 1, 20, 60])
async def test_what_comes_in_the_moment_of_an_answer_stands_behind_what_waited_for_it(
    served: tuple[RawUpstream, Rig], monkeypatch: pytest.MonkeyPatch, at: int | None
) -> None:
    """A request (or the first `at` bytes of it) waits; more comes in the very turn of the loop that ends the answer."""
    _, rig = served
    reader, writer = await asyncio.open_connection("127.0.0.1", rig.port)
    writer.write(request())
    assert (await read_answer(reader, "GET"))[2] == b"hello"
    server = rig.gateway._server
    assert server is not None
    (connection,) = server.connections
    transport = connection.transport
    assert transport is not None
    waits, comes = request("/chunked", "X-Long: " + "y" * 40), request("/early")
    write, left = transport.write, [waits[at:] + comes if at else comes]

    def answering(data: bytes) -> None:
        write(data)
        if left:
            asyncio.get_running_loop().call_soon(connection.data_received, left.pop())

    monkeypatch.setattr(transport, "write", answering)
    connection.data_received(request())
    connection.data_received(waits[:at])
    async with asyncio.timeout(PATIENCE):
        answers = [await read_answer(reader, "GET") for _ in range(3)]
    assert [answer[-1] for answer in answers] == [b"hello", b"abcde", b"ok"]
    writer.close()


async def test_what_follows_a_body_is_the_next_request_even_if_it_is_none(
    served: tuple[RawUpstream, Rig],
) -> None:
    """RFC 9112 §6: the request is whole, so it is served; the garbage behind it gets its own 400."""
    upstream, rig = served
    post = request("/plain", "Content-Length: 3", method="POST") + b"abc"
    answers = await talk(rig.port, [post + b"garbage\r\n\r\n"], ["POST", "GET"])
    assert answers[0][2] == b"hello"
    assert answers[1][0] == b"HTTP/1.1 400 Bad Request"
    assert upstream.bodies == [b"abc"]


# -- bodies ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1_000_000, 8_000_000, 40_000_000])
async def test_an_early_answer_is_read_by_a_client_that_first_sends_everything(
    served: tuple[RawUpstream, Rig], size: int
) -> None:
    """The app refuses the upload at its head. The rest of it is neither a head that is too large nor a reset."""
    _, rig = served
    head = request("/refuse", f"Content-Length: {size}", method="POST")
    async with asyncio.timeout(PATIENCE):
        reader, writer = await asyncio.open_connection("127.0.0.1", rig.port)
        writer.write(head)
        for _ in range(size // 100_000):
            writer.write(bytes(100_000))
            await writer.drain()
        answer = await read_answer(reader, "POST")
        assert answer[0] == b"HTTP/1.1 413 Too Much"
        assert answer[2] == b"no!"
        if b"Connection: close" in answer[1]:  # type: ignore[operator]
            assert await reader.read() == b""
        else:  # all of it had come by then
            writer.write(request())
            assert (await read_answer(reader, "GET"))[2] == b"hello"
        writer.close()


async def test_a_small_rest_of_an_early_answered_body_does_not_cost_the_connection(
    served: tuple[RawUpstream, Rig],
) -> None:
    _, rig = served
    refused = request("/", "Content-Length: 1000", method="POST", host="other.test")
    segments = [refused + bytes(10), bytes(990) + request("/chunked")]
    answers = await talk(rig.port, segments, ["POST", "GET"], in_turn=True)
    assert [answer[0] for answer in answers] == [b"HTTP/1.1 404 Not Found", b"HTTP/1.1 200 OK"]


async def test_chunks_of_one_byte_reach_the_app_in_few_pieces(served: tuple[RawUpstream, Rig]) -> None:
    """Otherwise each byte costs us a chunk out as well as in, and a client 500 times as much as it pays."""
    upstream, rig = served
    head = request("/plain", "Transfer-Encoding: chunked", method="POST")
    body = b"".join(b"1\r\n%c\r\n" % (n % 256) for n in range(100_000)) + b"0\r\n\r\n"
    (answer,) = await talk(rig.port, [head, body], ["POST"])
    assert answer[2] == b"hello"
    assert upstream.bodies == [bytes(n % 256 for n in range(100_000))]
    assert upstream.pieces[0] < 1000


async def test_a_client_that_waits_for_100_gets_it_once(served: tuple[RawUpstream, Rig]) -> None:
    _, rig = served
    reader, writer = await asyncio.open_connection("127.0.0.1", rig.port)
    for path in ("/asks", "/plain"):  # an app that says it, and one that leaves it to us
        writer.write(request(path, "Content-Length: 3", "Expect: 100-continue", method="POST"))
        assert (
            await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE)
            == b"HTTP/1.1 100 Continue\r\n\r\n"
        )
        writer.write(b"abc")
        assert (await read_answer(reader, "POST"))[2] == b"hello"
    writer.close()


async def test_a_client_that_waits_for_100_and_gets_an_answer_is_told_to_close(
    served: tuple[RawUpstream, Rig],
) -> None:
    """It may send the body or not: what it sends next can't be told from a request (RFC 9110 §10.1.1)."""
    _, rig = served
    head = request("/", "Content-Length: 3", "Expect: 100-continue", method="POST", host="other.test")
    (answer,) = await talk(rig.port, [head], ["POST"])
    assert answer[0] == b"HTTP/1.1 404 Not Found"
    assert b"Connection: close" in answer[1]  # type: ignore[operator]


@pytest.mark.parametrize("expect", [("100-continue",), ("100-continue", "x"), ("x", "100-continue")])
async def test_a_client_that_waits_for_100_is_told_to_close_when_the_app_hangs_up(
    served: tuple[RawUpstream, Rig], expect: tuple[str, ...]
) -> None:
    """Otherwise its next request would be thrown away as the body, and what stands in a body taken for a request."""
    _, rig = served
    wishes = [f"Expect: {one}" for one in expect]
    head = request("/hangup", "Content-Length: 3", *wishes, method="POST")
    (answer,) = await talk(rig.port, [head], ["POST"])
    assert answer[0] == b"HTTP/1.1 502 Bad Gateway"
    assert b"Connection: close" in answer[1]  # type: ignore[operator]


async def test_nothing_behind_a_body_that_cannot_be_read_is_taken_for_a_request(
    served: tuple[RawUpstream, Rig],
) -> None:
    upstream, rig = served
    head = request("/plain", "Transfer-Encoding: chunked", method="POST")
    reader, writer = await asyncio.open_connection("127.0.0.1", rig.port)
    writer.write(head + b"3\r\nabc\r\nzz\r\n")
    answer = await read_answer(reader, "POST")
    assert answer[0] == b"HTTP/1.1 400 Bad Request"
    assert b"Connection: close" in answer[1]  # type: ignore[operator]
    writer.write(request("/chunked"))
    assert await reader.read() == b""
    assert not asked(upstream, "/chunked")
    writer.close()
