"""What RFC 9110 and 9112 allow and few programs send, from clients and from apps, on both paths alike."""

import asyncio

import pytest

from tests.both_paths import both_paths, one_path, request, same, talk

METHODS = ["PROPFIND", "VERSION-CONTROL", "BASELINE-CONTROL", "FOO", "M-SEARCH", "REPORT", "X!#$%&'*+-.^_|~9"]


async def test_any_token_is_a_method() -> None:
    async with both_paths() as (upstream, fast, ordinary):
        for method in (*METHODS, "POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
            data = request("/plain", "Content-Length: 3", method=method) + b"abc"
            said = await same(upstream, fast, ordinary, [data + request("/empty")], [method, "GET"])
            assert said[0][2] == b"hello", method
            assert upstream.heads[0].startswith(method.encode() + b" /plain "), method
            assert upstream.bodies[0] == b"abc"


async def test_small_letters_make_no_other_method() -> None:
    """A rule against DELETE must hold for what some app would read as DELETE, too."""
    async with both_paths() as (upstream, fast, ordinary):
        for method in ("delete", "Get"):
            said = await same(upstream, fast, ordinary, [request("/plain", method=method)], ["GET"])
            assert said[0][0] == b"HTTP/1.1 400 Bad Request"


async def test_a_rule_about_a_method_of_ones_own_decides() -> None:
    rules = [{"methods": ["FOO"], "require": "deny"}, {"require": "bypass"}]
    async with both_paths(rules=rules, policy={}) as (upstream, fast, ordinary):
        for method, status in (("FOO", 403), ("BAR", 200), ("GET", 200)):
            said = await same(upstream, fast, ordinary, [request("/plain", method=method)], [method])
            assert said[0][0].startswith(b"HTTP/1.1 %d" % status), method  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (request("/" + "a" * 40_000), 414),
        (b"GET / HTTP/2.0\r\nHost: app.test\r\n\r\n", 505),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (request("*", method="OPTIONS"), 200),
        (request("*", method="GET"), 400),
        (request("/plain", host="app.test:"), 200),
        (request("/plain?"), 200),
        (b"\r\n\r\n" + request("/plain"), 200),
        (request("/a\xe4?b=\xc3\xbc"), 200),
        (request("http://app.test/plain"), 200),
        (request("/plain").replace(b"HTTP/1.1", b"HTTP/1.3"), 200),
    ],
    ids=["long", "two", "preface", "options", "star", "port", "query", "lines", "utf8", "absolute", "minor"],
)
async def test_what_a_request_may_look_like(data: bytes, status: int) -> None:
    async with both_paths() as (upstream, fast, ordinary):
        said = await same(upstream, fast, ordinary, [data], ["GET"])
        assert said[0][0].split(b" ")[1] == b"%d" % status  # type: ignore[attr-defined]
        heads = upstream.heads
        assert not [head for head in heads if head.startswith(b"OPTIONS")], (
            "it asks about us, not about an app"
        )
        if b"/plain?" in data:
            assert heads[0].startswith(b"GET /plain? HTTP/1.1\r\n")
        if b"\xe4" in data:
            assert heads[0].startswith(b"GET /a%E4?b=%C3%BC HTTP/1.1\r\n")


ODD = ["/twice", "/both", "/bare!", "/blank", "/barechunk"]


@pytest.mark.parametrize("path", ODD)
async def test_an_odd_answer_is_502_or_cut_and_the_log_says_what_to_write(
    path: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with both_paths() as (upstream, fast, ordinary):
        said = await same(upstream, fast, ordinary, [request(path)], ["GET"])
        if path in ("/blank", "/barechunk"):  # the head was good, so it is out
            assert said == [("broken off",)]
        else:
            assert said[0][0] == b"HTTP/1.1 502 Bad Gateway"
            assert "upstream_http: lenient" in caplog.text


@pytest.mark.parametrize("path", ODD)
async def test_a_lenient_route_takes_it_with_the_right_body(path: str) -> None:
    async with both_paths(upstream_http="lenient") as (upstream, fast, ordinary):
        said = await same(upstream, fast, ordinary, [request(path), request()], ["GET", "GET"], in_turn=True)
        assert (said[0][0], said[0][2]) == (b"HTTP/1.1 200 OK", b"ok")
        assert said[1][2] == b"hello"


@pytest.mark.parametrize("path", ["/more", "/surplus", "/longer"])
async def test_a_complete_answer_is_delivered_whatever_stands_behind_it(path: str) -> None:
    """And nobody uses that connection again: what came too much would be taken for the next answer."""
    async with both_paths() as (upstream, fast, ordinary):
        said = await same(upstream, fast, ordinary, [request(path), request()], ["GET", "GET"], in_turn=True)
        assert [one[2] for one in said] == [b"abc", b"hello"]
        assert upstream.connections == 4


@pytest.mark.parametrize("fast_path", [True, False])
async def test_an_answer_without_a_date_gets_one_and_another_keeps_its_own(fast_path: bool) -> None:
    async with one_path(fast_path) as (_, rig):
        reader, writer = await asyncio.open_connection("127.0.0.1", rig.port)
        for path, dates in (("/plain", [b"Date"]), ("/dated", [b"date: Mon, 30 Nov 2026 01:02:03 GMT"])):
            writer.write(request(path))
            head = await reader.readuntil(b"\r\n\r\n")
            found = [line for line in head.split(b"\r\n") if line.lower().startswith(b"date:")]
            assert [line[: len(dates[0])] for line in found] == dates
            await reader.readexactly(5 if path == "/plain" else 2)
        writer.close()


async def test_uploads_are_sent_on_alike() -> None:
    body = bytes(range(256)) * 1000
    chunks = b"".join(
        b"%x;a=b\r\n%b\r\n" % (len(part), part) for part in (body[:3], body[3:1000], body[1000:])
    )
    async with both_paths() as (upstream, fast, ordinary):
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            for head, sent in (
                ([f"Content-Length: {len(body)}"], body),
                (["transfer-encoding: Chunked"], chunks + b"0\r\nX: y\r\n\r\n"),
                (["Content-Length: 0"], b""),
                ([], b""),
            ):
                data = request("/plain?q=1", *head, "Content-Type: a/b", method=method) + sent
                for segments in ([data + request("/chunked")], [data[:70], data[70:], request("/chunked")]):
                    said = await same(upstream, fast, ordinary, segments, [method, "GET"], 0.01)
                    assert [one[2] for one in said] == [b"hello", b"abcde"]
                    assert upstream.bodies[0] == (body if sent else b"")


async def test_a_body_above_the_limit_is_413_alike() -> None:
    async with both_paths(max_body=1000) as (upstream, fast, ordinary):
        long, chunks = ["Content-Length: 3000"], ["Transfer-Encoding: chunked"]
        for head, sent in ((long, bytes(3000)), (chunks, b"bb8\r\n" + bytes(3000) + b"\r\n0\r\n\r\n")):
            said = await same(upstream, fast, ordinary, [request("/", *head, method="POST") + sent], ["POST"])
            assert said[0][0] == b"HTTP/1.1 413 Request Entity Too Large"


@pytest.mark.parametrize(
    "broken", [b"zz\r\n", b"3\r\nabcd\r\n", b"3 \r\nabc\r\n", b"3\nabc\n", b"ffffffffffffffffff\r\n"]
)
async def test_a_broken_chunk_is_400_alike_and_ends_the_connection(broken: bytes) -> None:
    async with both_paths() as (_, fast, ordinary):
        head = request("/plain", "Transfer-Encoding: chunked", method="POST")
        for segments in ([head + broken + request()], [head + b"1\r\na\r\n", broken, request()]):
            got = await talk(fast.port, segments, ["POST", "GET"], 0.02)
            assert got == await talk(ordinary.port, segments, ["POST", "GET"], 0.02)
            assert got[0][0] == b"HTTP/1.1 400 Bad Request"
            assert got[1] == ("broken off",)
