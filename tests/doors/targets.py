"""Requests for targets that could be read in two ways: paths, hosts, methods and destinations."""

from collections.abc import Iterator

from tests.doors.requests import HOST, OPEN, TWO, Request


def policies() -> Iterator[Request]:
    paths = (
        OPEN,
        "/one/x",
        TWO,
        "/shut/x",
        "/ops/x",
        "/rules/x",
        "/rules/open",
        "/set/x",
        "/two-set/x",
        "/strip/x",
        "/",
    )
    for path in paths:
        for who in ("", "alice", "bare", "half"):
            yield Request("policy", path, who, html=True)
            yield Request("policy", path, who)


def methods() -> Iterator[Request]:
    for method in ("HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "REPORT"):
        for path, who in (
            (OPEN, ""),
            (TWO, "alice"),
            ("/rules/x", "alice"),
            ("/rules/x", ""),
            ("/shut/x", "alice"),
        ):
            yield Request(
                "method", path, who, method=method, body=b"x=1" if method in ("POST", "PUT", "PATCH") else b""
            )


def paths() -> Iterator[Request]:
    spellings = (
        "/open/../shut/x",
        "/open/%2e%2e/shut/x",
        "/open/..%2fshut",
        "/open%2f..%2fshut",
        "/open/..;/shut",
        "//shut/x",
        "/open/.//x",
        "/shut;x",
        "/%73hut/x",
        "/SHUT/x",
        "/shut%2fx",
        "/open/%00",
        "/open/a%20b",
        "/open/a+b",
        "/open/%C3%A4",
        "/open/a?x=%2e%2e/shut",
        "/open?x",
        "/open/a?b=c&d=%26",
        "/open/\\..\\shut",
        "/openx",
        "/open/%252e%252e/shut",
        "/open/a//b",
        "/open/./b",
        "/open/a/..",
        "/open/%7Euser",
        "/open/~user",
        "/strip",
        "/strip/",
        "/strip//x",
        "/strip/%2e/x",
        "/stripx",
        "/strip/a%20b?c=d",
        "/strip/a/b/",
        "/_auth/forward",
        "/_auth/forward/open/x",
        "/_auth/forwardx",
        "/rules/open/../x",
        "/rules/open;/x",
        "/rules/openx",
        "/rules//open",
        "/open/(x)",
        "/open/'x'",
        "/open/@:x,y",
        '/open/"x"',
    )
    based = (
        "/based",
        "/based/",
        "/based/a%20b?c=d",
        "/strip-based",
        "/strip-based/a/b?c=%2F",
        "/strip-odd/a%2Fb",
        "/strip-odd?x",
    )
    for path in (*spellings, *based):
        yield Request("path", path)
        yield Request("path", path, "alice")


def hosts() -> Iterator[Request]:
    spellings = (
        "shut.test",
        "SHUT.test",
        "shut.test.",
        "shut.test:80",
        "shut.test.:80",
        "a.wild.test",
        "wild.test",
        "A.Wild.test",
        "a.b.wild.test",
        "a.wild.test.",
        "127.0.0.1",
        "other.test",
        "app.test:8080",
        "shut.test:x",
        "shut.test/",
        "a b",
    )
    for host in spellings:
        yield Request("host", OPEN, host=host)
        yield Request("host", TWO, "alice", host=host)


def destinations() -> Iterator[Request]:
    """COPY and MOVE of WebDAV write where Destination says."""
    places = (
        "/open/y",
        "/shut/x",
        "/rules/y",
        "/rules/open",
        "/two/y",
        "/open/../shut/x",
        "http://elsewhere.test/x",
    )
    for where in (*places, f"http://{HOST}/shut/x", f"http://{HOST}/open/y"):
        for path, who in ((OPEN, ""), ("/two/x", "alice"), ("/rules/open", "alice")):
            for method in ("MOVE", "GET"):
                yield Request("destination", path, who, (("Destination", where),), method=method)
    for path in ("/strip/x", "/based/x"):
        yield Request(
            "destination on a route whose paths change",
            path,
            headers=(("Destination", f"{path}/y"),),
            method="MOVE",
        )
    twice = (("Destination", "/open/y"), ("Destination", "/shut/x"))
    yield Request("destination", OPEN, headers=twice, method="COPY")
