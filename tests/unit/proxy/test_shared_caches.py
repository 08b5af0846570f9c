"""Twin of gateway/proxy/shared_caches.py: what is answered to somebody we know is for no cache that others share."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config.schema import Route
from gateway.proxy.response_headers import Rewriter
from gateway.proxy.shared_caches import OVERRULING, without_sharing
from gateway.proxy.upstreams import PreparedRoute, UpstreamAddress
from gateway.server.fastpath.response_head import read_answer
from tests.proxy_rig import COOKIES, make_target

UPSTREAM = "http://backend.internal:9000"


def rewriter(*, known: bool = True, **settings: object) -> Rewriter:
    site = PreparedRoute.of(Route(upstream=UPSTREAM, **settings), COOKIES, lambda: 0.0)
    return site.rewriter(UpstreamAddress.parse(UPSTREAM), make_target(), known=known)


@pytest.mark.parametrize(
    ("said", "passed_on"),
    [
        (b"max-age=600", b"private, max-age=600"),
        (b"public, max-age=600, s-maxage=9", b"private, max-age=600"),
        (b"Public", b"private"),
        (b'private="set-cookie, x", max-age=5', b"private, max-age=5"),
        (b'no-cache="a, public"', b'private, no-cache="a, public"'),
        (b"", b"private"),
        (b"no-store", b"no-store"),
        (b"max-age=0,  private", b"max-age=0,  private"),
        (b"no-cache", b"private, no-cache"),
        (b"no-store, s-maxage=60", b"no-store"),
    ],
)
def test_the_browser_may_keep_it_as_the_app_wants_and_nobody_else(said: bytes, passed_on: bytes) -> None:
    assert without_sharing(said) == passed_on


@given(st.binary(max_size=60).filter(lambda value: not set(value) & {0, 10, 13}))
def test_whatever_the_app_says_something_unqualified_keeps_shared_caches_out(said: bytes) -> None:
    outside_quotes = re.sub(rb'"(?:[^"\\]|\\.)*"?', b'""', without_sharing(said))
    names = [one.strip().lower() for one in outside_quotes.split(b",")]
    assert b"private" in names or b"no-store" in names
    assert b"public" not in names


HEADS = [
    [],
    [(b"Cache-Control", b"public, max-age=600"), (b"Expires", b"Thu, 01 Dec 2044 16:00:00 GMT")],
    [(b"Cache-Control", b"no-store"), (b"cache-control", b"public")],
    [(name.title(), b"max-age=600") for name in sorted(OVERRULING)],
]


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("known", [True, False])
def test_both_paths_say_the_same(head: list[tuple[bytes, bytes]], known: bool) -> None:
    lines = b"\r\n".join([b"HTTP/1.1 200 OK", *(b": ".join(pair) for pair in head), b"Content-Length: 0"])
    fast = read_answer(lines, "GET", rewriter(known=known)).start
    ordinary = rewriter(known=known).headers([*head, (b"Content-Length", b"0")])
    assert sorted(fast.split(b"\r\n")[1:-1]) == sorted(b": ".join(pair) for pair in ordinary)
    assert known == (b"private" in fast)


def test_strangers_and_routes_that_are_cacheable_get_what_the_app_said() -> None:
    said = HEADS[1]
    assert rewriter(known=False).headers(said) == said
    assert rewriter(cacheable=True).headers(said) == said
