"""Twin of gateway/proxy/response_headers.py: what a client gets of an upstream's head."""

import pytest

from gateway.config.schema import Rewrite, Route
from gateway.proxy.response_headers import Rewriter
from gateway.proxy.upstreams import PreparedRoute, UpstreamAddress
from tests.proxy_rig import COOKIES, make_target

UPSTREAM = "http://backend.internal:9000"


def rewriter(upstream: str = UPSTREAM, **settings: object) -> Rewriter:
    site = PreparedRoute.of(Route(upstream=upstream, **settings), COOKIES, lambda: 0.0)
    return site.rewriter(UpstreamAddress.parse(upstream), make_target(scheme="https"))


@pytest.mark.parametrize(
    ("sent", "seen"),
    [
        (b"http://backend.internal:9000/x?y#z", b"https://app.example.com/x?y#z"),
        (b"http://BACKEND.internal:9000", b"https://app.example.com"),
        (b"//backend.internal:9000/x", b"https://app.example.com/x"),
        (b"http://app.example.com/x", b"https://app.example.com/x"),
        (b"https://elsewhere.example/x", b"https://elsewhere.example/x"),
        (b"http://backend.internal:9001/x", b"http://backend.internal:9001/x"),
        (b"/x", b"/x"),
        (b"x/y", b"x/y"),
        (b"http://[bad", b"http://[bad"),
        (b"/\xe9", b"/\xe9"),
    ],
)
def test_a_redirect_to_the_upstreams_own_address_becomes_ours(sent: bytes, seen: bytes) -> None:
    assert rewriter().location(sent) == seen


def test_a_stripped_prefix_and_a_base_path_are_undone_in_redirects() -> None:
    rewrite = rewriter(UPSTREAM + "/base", path="/app", strip_path=True)
    assert rewrite.location(b"http://backend.internal:9000/base/x") == b"https://app.example.com/app/x"
    assert rewrite.location(b"/base/x") == b"/app/x"
    assert rewrite.location(b"/app/x") == b"/app/x"


@pytest.mark.parametrize(
    ("sent", "seen"),
    [
        (b"http://backend.internal:9000", b"https://app.example.com/app/"),
        (b"http://backend.internal:9000?x=1", b"https://app.example.com/app/?x=1"),
        (b"http://backend.internal:9000#top", b"https://app.example.com/app/#top"),
        (b"//backend.internal:9000", b"https://app.example.com/app/"),
        (b"http://backend.internal:9000/base", b"https://app.example.com/app/"),
        (b"http://backend.internal:9000/base?x=1", b"https://app.example.com/app/?x=1"),
    ],
)
def test_a_redirect_to_the_upstream_without_a_path_leads_below_the_prefix(sent: bytes, seen: bytes) -> None:
    assert rewriter(UPSTREAM + "/base", path="/app", strip_path=True).location(sent) == seen


def test_redirects_stay_as_they_are_if_the_route_says_so() -> None:
    rewrite = rewriter(rewrite=Rewrite(location=False))
    assert rewrite.headers([(b"Location", b"http://backend.internal:9000/")]) == [
        (b"Location", b"http://backend.internal:9000/")
    ]


def test_refresh_and_content_location_are_rewritten_too() -> None:
    got = rewriter().headers(
        [
            (b"Refresh", b'5; url="http://backend.internal:9000/x"'),
            (b"Content-Location", UPSTREAM.encode() + b"/y"),
        ]
    )
    assert got == [
        (b"Refresh", b'5; url="https://app.example.com/x"'),
        (b"Content-Location", b"https://app.example.com/y"),
    ]


@pytest.mark.parametrize(
    "cookie",
    [
        b"auth_session=x; Path=/",
        b"__Host-auth_session=; Max-Age=0",
        b"__Secure-auth_session=x",
        b" auth_session =x",
        b"AUTH_SESSION=x",
        b"=auth_session=x",
        b"auth_session",
    ],
)
def test_an_upstream_cannot_set_or_clear_our_cookie(cookie: bytes) -> None:
    assert rewriter().headers([(b"set-Cookie", cookie), (b"Set-Cookie", b"a=1")]) == [(b"Set-Cookie", b"a=1")]


@pytest.mark.parametrize(
    ("sent", "seen"),
    [
        (b'"*"', b'"cache", "storage"'),
        (b'"cache", "cookies"', b'"cache"'),
        (b'"cookies"', None),
    ],
)
def test_an_upstream_cannot_clear_our_cookie_with_the_sites_data(sent: bytes, seen: bytes | None) -> None:
    assert rewriter().headers([(b"Clear-Site-Data", sent)]) == ([(b"Clear-Site-Data", seen)] if seen else [])


@pytest.mark.parametrize(
    ("sent", "seen"),
    [
        (b"a=1; Domain=backend.internal; Secure", b"a=1; Domain=app.example.com; Secure"),
        (b"a=1; domain=.example.com", b"a=1; domain=.example.com"),
        (b"a=1; Path=/inner/x; HttpOnly", b"a=1; Path=/outer/x; HttpOnly"),
        (b"a=1; Path=/innermost", b"a=1; Path=/innermost"),
        (b"a=\xe9;Path=/inner", b"a=\xe9;Path=/outer"),
        (b"Domain=1; Path=/", b"Domain=1; Path=/"),
    ],
)
def test_cookies_of_the_upstream_fit_the_public_host(sent: bytes, seen: bytes) -> None:
    assert rewriter(rewrite=Rewrite(cookie_path={"/inner": "/outer"})).set_cookie(sent) == seen


@pytest.mark.parametrize(
    ("sent", "seen"),
    [
        (b"a=1; Path=/x; Secure", b"a=1; Path=/app/x; Secure"),
        (b"a=1; path=/", b"a=1; path=/app"),
        (b"a=1; Path=/app/x", b"a=1; Path=/app/x"),  # the app was told its prefix
        (b"a=1; Path=/apple", b"a=1; Path=/app/apple"),
        (b"a=1; Path=/base/x", b"a=1; Path=/app/x"),
        (b"a=1; Path=/inner/x", b"a=1; Path=/outer/x"),  # what the route says counts first
        (b"a=1; Path=x", b"a=1; Path=x"),
        (b"a=1", b"a=1"),
        (b"__Host-a=1; Path=/; Secure", b"__Host-a=1; Path=/; Secure"),
    ],
)
def test_cookies_follow_a_stripped_prefix_and_a_base_path(sent: bytes, seen: bytes) -> None:
    mapped = Rewrite(cookie_path={"/inner": "/outer"})
    rewrite = rewriter(UPSTREAM + "/base", path="/app", strip_path=True, rewrite=mapped)
    assert rewrite.set_cookie(sent) == seen


def test_cookies_stay_where_the_upstream_put_them_if_the_route_says_so() -> None:
    rewrite = rewriter(path="/app", strip_path=True, rewrite=Rewrite(cookie_prefix=False))
    assert rewrite.set_cookie(b"a=1; Path=/x") == b"a=1; Path=/x"
    assert rewriter(path="/app").set_cookie(b"a=1; Path=/x") == b"a=1; Path=/x"


def test_hop_by_hop_headers_of_the_response_are_dropped_and_the_rest_keeps_its_order() -> None:
    got = rewriter().headers(
        [
            (b"Connection", b"X-Hop, close"),
            (b"X-Hop", b"1"),
            (b"Keep-Alive", b"timeout=5"),
            (b"Proxy-Authenticate", b"Basic"),
            (b"Transfer-Encoding", b"chunked"),
            (b"Upgrade", b"h2c"),
            (b"X-A", b"1"),
            (b"x-a", b"2"),
        ]
    )
    assert got == [(b"X-A", b"1"), (b"x-a", b"2")]
