"""The requests. Each is asked at every door; what the app received and what the client got must be the same."""

from collections.abc import Iterator

from tests.doors.claims import (
    about_the_request,
    cookies,
    credentials,
    hop_by_hop,
    odd_signs,
    overrides,
    spoofed,
)
from tests.doors.requests import HOST, KEY, OPEN, TWO, Headers, Request
from tests.doors.targets import destinations, hosts, methods, paths, policies


def corpus() -> list[Request]:
    families = (
        *(
            spoofed,
            odd_signs,
            about_the_request,
            overrides,
            upgrades,
            websockets,
            policies,
            methods,
            paths,
            hosts,
        ),
        *(cookies, bodies, answers, settings, destinations, credentials, hop_by_hop),
    )
    return [request for family in families for request in family()]


def upgrades() -> Iterator[Request]:
    h2c = (("HTTP2-Settings", "AAMAAABkAAQAoAAAAAIAAAAA"),)
    for value in (
        "h2c",
        "H2C",
        "h2c, websocket",
        "websocket, h2c",
        "tcp",
        "SPDY/3.1",
        "TLS/1.0, HTTP/1.1",
        "websockets",
    ):
        for path, who in ((OPEN, ""), (TWO, "alice"), ("/still/x", ""), ("/shut/x", "alice"), (TWO, "")):
            listed = (("Connection", "Upgrade, HTTP2-Settings"), ("Upgrade", value), *h2c)
            yield Request("upgrade", path, who, listed)
            yield Request("upgrade", path, who, (*listed, *KEY))
    for path in (OPEN, "/still/x"):
        yield Request(
            "upgrade",
            path,
            headers=(("Connection", "Upgrade"), ("Upgrade", "h2c"), ("Upgrade", "websocket"), *KEY),
        )
        yield Request(
            "upgrade without a key", path, headers=(("Connection", "Upgrade"), ("Upgrade", "websocket"))
        )
        yield Request("upgrade", path, headers=(("Upgrade", "websocket"), *KEY))
        yield Request(
            "upgrade", path, method="POST", body=b"x", headers=(("Connection", "Upgrade"), ("Upgrade", "h2c"))
        )


def websockets() -> Iterator[Request]:
    handshake: Headers = (("Connection", "Upgrade"), ("Upgrade", "websocket"), *KEY)
    for path, who in (
        (OPEN, ""),
        (TWO, "alice"),
        (TWO, ""),
        ("/shut/x", "alice"),
        ("/ops/x", "bare"),
        ("/still/x", ""),
    ):
        for origin in (
            (),
            (("Origin", f"http://{HOST}"),),
            (("Origin", "http://evil.test"),),
            (("Origin", "null"),),
        ):
            yield Request("websocket", path, who, (*handshake, *origin))


def bodies() -> Iterator[Request]:
    for path, who in ((OPEN, ""), (TWO, "alice"), (TWO, "")):
        for size in (0, 1, 70_000):
            yield Request("body", path, who, method="POST", body=b"y" * size)
            yield Request("body", path, who, method="PUT", body=b"z" * size, chunked=True)


def answers() -> Iterator[Request]:
    for path in (
        "/open/events",
        "/open/redirect",
        "/open/cookies",
        "/open/range",
        "/open/empty",
        "/open/not-modified",
        "/open/error",
    ):
        yield Request("answer", path)
        yield Request("answer", path, "alice", method="HEAD")
    for method in ("GET", "HEAD", "POST", "PUT"):
        yield Request("app fails", "/open/nonsense", method=method, html=True)
        yield Request("app fails", "/two/nonsense", "alice", method=method)
    yield Request("app fails", "/open/nonsense", html=True, headers=(("Accept-Language", "de"),))
    yield Request("answer", "/open/range", headers=(("Range", "bytes=2-5"),))
    yield Request("answer", "/two/range", "alice", headers=(("Range", "bytes=2-5"), ("If-Range", '"x"')))


def settings() -> Iterator[Request]:
    sent = (
        (("X-Api-Key", "mine"), ("X_Api_Key", "mine"), ("X.Api-Key", "mine")),
        (("X-Debug", "1"), ("X_Debug", "1")),
        (("Authorization", "Bearer x"),),
        (("X-Who", "root"), ("X_Who", "root"), ("X-Auth-Request-User", "root")),
        (("X-Webauth-Role", "Viewer"), ("X-Webauth-User", "root")),
        (("X-Forwarded-Port", "1"), ("X-Auth-Request-Groups", "root")),
    )
    for headers in sent:
        yield Request("settings", "/set/x", headers=headers)
        yield Request("settings", "/set/x", "alice", headers)
        yield Request("settings", "/two-set/x", "alice", headers)
        yield Request("settings", "/two-set/x", "bare", headers)
