"""Requests that claim to be somebody else's, from elsewhere or for something else: headers that only we may say."""

from collections.abc import Iterator

from gateway.config.sections.header_presets import FAMILIES, IDENTITY
from gateway.proxy.client_headers import ADDRESS, FORWARDED_KNOWN, METHOD_OVERRIDE
from tests.doors.requests import OPEN, SIGNS, TWO, Headers, Request


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
