"""Request lines, routes and whole answers that the fast path remembers stand for what they were read from, no more."""

from ipaddress import ip_address

import pytest

from gateway.config.schema import Rewrite
from gateway.model import Target
from gateway.observability.access_line import LineStems
from gateway.proxy.response_headers import Rewriter
from gateway.server.fastpath import request_head
from gateway.server.fastpath.header_plans import Rendered
from gateway.server.fastpath.request_head import RequestLines, split_head
from gateway.server.fastpath.response_head import FastResponseHead

TARGET = Target("http", "a.test", None, "GET", "/", "", ip_address("192.0.2.1"))
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 5"


def lines() -> RequestLines:
    return RequestLines(lambda path: path.startswith("/_auth"))


def test_a_line_is_read_again_as_at_first() -> None:
    known = lines()
    for asked in (b"GET /a?b=c", b"GET /a", b"POST /a?b=c", b"GET /_auth/x"):
        first = known.read(asked + b" HTTP/1.1")
        assert first is not None
        assert known.read(asked + b" HTTP/1.1") is first
        assert f"{first.method} {first.path}{'?' if first.query else ''}{first.query}".encode() == asked
        assert (first.asked, first.is_ours) == (asked, b"_auth" in asked)


@pytest.mark.parametrize(
    "line",
    [
        b"GET /a HTTP/1.0",
        b"GET  /a HTTP/1.1",
        b"GET /a;b HTTP/1.1",
        b"GET /%61 HTTP/1.1",
        b"GET /? HTTP/1.1",
        b"",
    ],
)
def test_what_is_not_plain_stays_so(line: bytes) -> None:
    known = lines()
    assert [known.read(line), known.read(line)] == [None, None]


def test_clients_can_not_fill_the_memory_with_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_head, "_LINES", 8)
    known = lines()
    for number in range(100):
        assert known.read(b"GET /%d HTTP/1.1" % number) is not None
        assert len(known._known) <= 8
    long = b"GET /" + b"x" * 300 + b" HTTP/1.1"
    assert known.read(long) is not known.read(long)


@pytest.mark.parametrize("name", [b"X-Request-Id", b"x-request-id"])
def test_a_name_of_the_request_is_no_part_of_what_is_remembered(name: bytes) -> None:
    known = lines()
    heads = [
        split_head(b"GET / HTTP/1.1\r\nHost: a\r\n%b: id%d\r\nA: b\r\n\r\n" % (name, number), known)
        for number in range(2)
    ]
    assert [(head.named, head.block) for head in heads if head] == [
        (f"id{number}", b"\r\nHost: a\r\nA: b") for number in range(2)
    ]


def rendered(*, lenient: bool = False) -> Rendered:
    rewriter = Rewriter(
        rules=Rewrite(),
        target=TARGET,
        origins=frozenset(),
        own_cookies=frozenset(),
        base="",
        prefix="",
        private=False,
    )
    stems = LineStems(target=TARGET, principal=None, route="r", upstream="u", agent="")
    return Rendered(
        principal=None,
        until=0.0,
        start=b"",
        block=b"",
        named=False,
        rewriter=rewriter,
        response_time=1.0,
        idle_time=1.0,
        plain_target=True,
        lenient=lenient,
        stems=stems,
    )


def learn(made: Rendered, head: bytes, method: str) -> FastResponseHead:
    return made.answer(head, method, lenient=made.lenient)


def test_only_a_whole_answer_with_a_head_that_was_seen_is_known() -> None:
    made = rendered()
    assert made.known(HEAD + b"\r\n\r\nhello", "GET") is None
    answer = learn(made, HEAD, "GET")
    assert made.known(HEAD + b"\r\n\r\nhello", "GET") == (answer, len(HEAD) + 4)
    for rest in (b"", b"hell", b"hello!", b"helloHTTP/1.1 200 OK\r\n\r\n"):
        assert made.known(HEAD + b"\r\n\r\n" + rest, "GET") is None
    assert made.known(HEAD + b"\r\n\r\nhello", "HEAD") is None
    assert made.known(HEAD, "GET") is None


@pytest.mark.parametrize(
    ("head", "method", "bodies"),
    [
        (HEAD, "HEAD", [b""]),
        (b"HTTP/1.1 204 No Content", "GET", [b""]),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5", "GET", [b""]),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0", "GET", [b""]),
        (b"HTTP/1.1 200 OK", "GET", []),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked", "GET", []),
        (b"HTTP/1.1 100 Continue", "POST", []),
        (b"HTTP/1.1 103 Early Hints", "GET", []),
        (b"HTTP/1.1 101 Switching Protocols", "GET", []),
    ],
)
def test_an_answer_is_whole_where_its_head_says_so(head: bytes, method: str, bodies: list[bytes]) -> None:
    made = rendered()
    learn(made, head, method)
    offered = (b"", b"hello", b"0\r\n\r\n", b"5\r\nhello\r\n0\r\n\r\n")
    assert [body for body in offered if made.known(head + b"\r\n\r\n" + body, method)] == bodies


def test_where_line_ends_may_differ_no_answer_is_known_by_its_bytes() -> None:
    made = rendered(lenient=True)
    learn(made, HEAD, "GET")
    assert made.known(HEAD + b"\r\n\r\nhello", "GET") is None
