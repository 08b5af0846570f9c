"""Answers of apps, made up: how they are cut into packets changes nothing, and what can't be read is an error."""

import asyncio
import os
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.proxy.upstream_connection import BrokenConnection, UpstreamConnection

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "200"))
LINES = [
    b"HTTP/1.1 200 OK",
    b"HTTP/1.0 404 Not Found",
    b"HTTP/1.1 103 Early Hints",
    b"HTTP/1.1 204 No Content",
    b"HTTP/1.1 101 Switching Protocols",
    b"HTTP/2.0 200 OK",
    b"Content-Length: 3",
    b"Content-Length: 5",
    b"content-length:3 ",
    b"Content-Length: +3",
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: gzip, chunked",
    b"Connection: close",
    b"Connection: Upgrade, X",
    b"X: y",
    b" folded",
    b"Bad Name: y",
    b"X: \x00",
    b"",
    b"3",
    b"3;a=b",
    b"3 ",
    b"abc",
    b"0",
    b"fffffffffffffffff",
]
ENDS = st.sampled_from([b"\r\n", b"\r\n", b"\r\n", b"\r\n", b"\n", b"\r", b""])
wires = st.lists(st.tuples(st.sampled_from(LINES) | st.binary(max_size=6), ENDS), max_size=16).map(
    lambda lines: b"HTTP/1.1 200 OK\r\n" + b"".join(line + end for line, end in lines)
)


class _Quiet(asyncio.Transport):
    closing = False

    def abort(self) -> None:
        self.closing = True

    def is_closing(self) -> bool:
        return self.closing

    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...
    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...


def read(pieces: list[bytes], method: str, *, lenient: bool) -> tuple[Any, ...]:
    """What a caller gets: 1xx heads, head, body, trailers, and how it ended once the app hung up."""
    hints: list[tuple[int, bytes]] = []
    connection = UpstreamConnection()
    connection.connection_made(_Quiet())
    connection.begin(method, lambda status, reason, _: hints.append((status, reason)), lenient=lenient)
    for piece in pieces:
        if not connection.transport or connection.transport.is_closing():
            break
        connection.data_received(piece)
    connection.connection_lost(None)
    head = connection._head
    body = connection.read_nowait()
    error = connection._error
    assert error is None or isinstance(error, BrokenConnection)
    if head is not None and head.length is not None and not head.bodiless:
        assert len(body) <= head.length, "no more than was promised"
        assert error is not None or len(body) == head.length, "no less, unless it is an error"
    if error is not None:
        return hints, head, "broken"  # how much of the body came before that is up to the packets
    return hints, head, body, connection.trailers, connection._upgraded


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    wire=wires,
    cuts=st.lists(st.integers(0, 200), max_size=8),
    method=st.sampled_from(["GET", "HEAD"]),
    lenient=st.booleans(),
)
def test_how_an_answer_is_cut_into_packets_changes_nothing(
    wire: bytes, cuts: list[int], method: str, lenient: bool
) -> None:
    at = sorted({cut for cut in cuts if cut < len(wire)} | {0, len(wire)})
    pieces = [wire[one:other] for one, other in pairwise(at)]
    whole = read([wire], method, lenient=lenient)
    assert read([piece for piece in pieces if piece], method, lenient=lenient) == whole
    assert read([wire[n : n + 1] for n in range(len(wire))], method, lenient=lenient) == whole
