"""The requests. Each is asked at every door; what the app received and what the client got must be the same."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from gateway.config.sections.header_presets import FAMILIES, IDENTITY
from gateway.proxy.client_headers import ADDRESS, FORWARDED_KNOWN, METHOD_OVERRIDE

HOST = "app.test"
SIGNS = "_.!#$%&'*+^`|~"
"""All that may stand in a header's name beside letters, digits and the dash (RFC 9110 §5.6.2)."""
KEY = (("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="), ("Sec-WebSocket-Version", "13"))
OPEN, TWO = "/open/x", "/two/x"

Headers = tuple[tuple[str, str], ...]

# `upstream` is the base path of the app, if it has one.
ROUTES: list[dict[str, Any]] = [
    {"path": "/open", "policy": {"require": "bypass"}},
    {"path": "/one", "policy": {"require": "one_factor"}},
    {"path": "/shut", "policy": {"require": "deny"}},
    {"path": "/ops", "policy": {"require": "two_factor", "groups": ["ops"]}},
    {
        "path": "/rules",
        "rules": [
            {"paths": ["/rules/open"], "require": "bypass"},
            {"methods": ["GET", "HEAD", "POST"], "require": "one_factor"},
            {"methods": ["OPTIONS"], "require": "bypass"},
            {"require": "deny"},
        ],
    },
    {
        "path": "/set",
        "policy": {"require": "bypass"},
        "headers": {
            "preset": ["x-auth-request"],
            "rename": {"X-Auth-Request-User": "X-Who"},
            "add": {"X-Api-Key": 'ours $1 %v {x} "q"'},
            "drop": ["X-Debug", "Authorization", "X-Auth-Request-Groups", "X-Forwarded-Port"],
            "keep": ["X-Webauth-Role"],
        },
    },
    {
        "path": "/two-set",
        "policy": {"require": "one_factor"},
        "headers": {
            "rename": {"Remote-User": "X-Who"},
            "add": {"X-Api-Key": "ours"},
            "drop": ["Remote-Groups"],
        },
    },
    {"path": "/strip", "policy": {"require": "bypass"}, "strip_path": True},
    {"path": "/based", "policy": {"require": "bypass"}, "upstream": "/base"},
    {
        "path": "/strip-based",
        "policy": {"require": "one_factor"},
        "strip_path": True,
        "upstream": "/base/deep",
    },
    {
        "path": "/strip-odd",
        "policy": {"require": "bypass"},
        "strip_path": True,
        "allow_in_path": ["encoded_slash"],
    },
    {
        "path": "/machines",
        "name": "machines",
        "policy": {"require": "one_factor"},
        "tokens": True,
        "basic": True,
    },
    {"path": "/still", "policy": {"require": "bypass"}, "websocket": False},
    {"host": "shut.test", "policy": {"require": "deny"}},
    {"host": "*.wild.test", "policy": {"require": "bypass"}},
    {"path": "/"},
]


@dataclass(frozen=True, slots=True)
class Request:
    """One request. `who` is "" for a stranger, else a user; `kind` names what differences may be told of."""

    kind: str
    path: str = OPEN
    who: str = ""
    headers: Headers = ()
    method: str = "GET"
    body: bytes = b""
    host: str = HOST
    html: bool = False
    chunked: bool = False

    @property
    def websocket(self) -> bool:
        return any(name.lower() == "upgrade" for name, _ in self.headers)

    def __str__(self) -> str:
        shown = " ".join(f"{name}: {value};" for name, value in self.headers)
        return f"[{self.kind}] {self.who or 'stranger'} {self.method} {self.host} {self.path} {shown[:200]}"


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


def _respelled(name: str) -> Headers:
    first, rest = name.split("-")[0], name.split("-")[1:]
    mixed = first + "".join(("-_"[n % 2] + part) for n, part in enumerate(rest))
    spelled = (name, name.upper(), name.lower(), name.replace("-", "_"), name.replace("-", "."), mixed)
    return tuple((one, "root") for one in dict.fromkeys(spelled))


def spoofed() -> Iterator[Request]:
    members = (f"{family}anything" for family in FAMILIES)
    for name in (*IDENTITY, "X-Who"):
        yield Request("spoofed identity", OPEN, headers=_respelled(name))
        yield Request("spoofed identity", TWO, "alice", _respelled(name))
    for name in members:
        yield Request("unknown member of a family", OPEN, headers=_respelled(name))
        yield Request("unknown member of a family", TWO, "bare", _respelled(name))
    for name in ("Remote-Name", "Remote-Email", "Remote-Groups", "X-Forwarded-Email"):
        yield Request("spoofed identity", TWO, "bare", _respelled(name))
        yield Request("spoofed identity", "/one/x", "bare", _respelled(name))


def odd_signs() -> Iterator[Request]:
    for sign in SIGNS:
        headers = ((f"Remote{sign}User", "root"), (f"X{sign}Forwarded{sign}User", "root"), ("X-Fine", "1"))
        yield Request("spoofed identity", OPEN, headers=headers)
        yield Request("spoofed identity", TWO, "alice", headers)
        yield Request("names with other signs", OPEN, headers=((f"X{sign}Harmless", "1"),))


def about_the_request() -> Iterator[Request]:
    for name in (*sorted(ADDRESS), *FORWARDED_KNOWN, "Proxy", "X-Forwarded-Anything"):
        kind = "unknown member of a family" if name.endswith("Anything") else "about the request"
        value = "198.51.100.7" if "for" in name.lower() or "ip" in name.lower() else "/admin"
        headers = tuple((spelled, value) for spelled, _ in _respelled(name.title()))
        yield Request(kind, OPEN, headers=headers)
        yield Request(kind, TWO, "alice", headers)
    for name in ("X-Request-Id", "Traceparent"):
        yield Request("about the request", OPEN, headers=((name, "root-root-root"),))


def overrides() -> Iterator[Request]:
    for name in sorted(METHOD_OVERRIDE):
        headers = tuple((spelled, "DELETE") for spelled, _ in _respelled(name.title()))
        for path in ("/rules/x", "/rules/open", OPEN):
            yield Request("method override", path, "alice", headers, method="POST", body=b"x=1")
        yield Request("method override", "/rules/x", "alice", headers)
        yield Request("method override", "/rules/x", headers=headers, method="OPTIONS")


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


def cookies() -> Iterator[Request]:
    names = (
        "auth_session",
        "auth_session_pass",
        "auth_session_device",
        "__Host-auth_session",
        "__Secure-auth_session_trail",
        "AUTH_SESSION",
    )
    for path, who in ((OPEN, ""), (TWO, "alice"), ("/one/x", "alice")):
        for name in names:
            yield Request("cookies", path, who, (("Cookie", f"a=1; {name}=stolen; b=2"),))
        yield Request("cookies", path, who, (("Cookie", "a=1"),))
        yield Request(
            "cookies", path, who, (("Cookie", "auth_sessions=mine; xauth_session=mine; a=auth_session"),)
        )


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


def credentials() -> Iterator[Request]:
    """$TOKEN stands for an API token of the route "machines", $BASIC for alice's name and password."""
    places = (("/machines/x", ""), ("/machines/x", "alice"), (OPEN, ""), ("/one/x", "alice"), (TWO, ""))
    for value in ("Bearer $TOKEN", "Basic $BASIC", "Bearer theirs", "Digest x"):
        shown = (("Authorization", value),)
        for path, who in places:
            yield Request("credentials", path, who, shown)
            between = (("X-Gateway-Consumes", "x"), ("X-Gateway-Consumed", "authorization"))
            yield Request("credentials", path, who, (*shown, *between))
        yield Request("credentials", "/machines/x", headers=(*shown, ("Authorization", "Bearer theirs")))
        yield Request("credentials", "/machines/x", headers=shown, method="POST", body=b"x=1")
    for value in ("Bearer agt_x_y", "Basic dGhlaXJzOng="):  # each costs a try
        yield Request("credentials", "/machines/x", headers=(("Authorization", value),))


def hop_by_hop() -> Iterator[Request]:
    for name in (
        "Keep-Alive",
        "Proxy-Connection",
        "Proxy-Authorization",
        "TE",
        "Trailer",
        "Proxy-Authenticate",
    ):
        yield Request("hop by hop", OPEN, headers=((name, "trailers"),))
        yield Request("hop by hop", TWO, "alice", ((name, "trailers"),))
    for name in ("X-Mine", "Remote-User", "X-Forwarded-For", "Cookie"):
        yield Request(
            "named in Connection", OPEN, headers=(("Connection", f"keep-alive, {name}"), (name, "root"))
        )
        yield Request("named in Connection", TWO, "alice", (("Connection", f"keep-alive, {name}"),))
