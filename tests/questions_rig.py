"""Forward-auth questions in every dialect of ours, asked of two gateways that differ in the fast path alone."""

import re
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.both_paths import Said, on_ordinary_path, talk
from tests.rig import Rig, running_gateway

UP = "UPSTREAM"
ROUTES: list[dict[str, Any]] = [
    {"path": "/open", "upstream": UP, "policy": {"require": "bypass"}},
    {"path": "/shut", "upstream": UP, "policy": {"require": "deny"}},
    {"path": "/one", "upstream": UP, "policy": {"require": "one_factor"}, "tokens": True, "basic": True},
    {"path": "/ops", "upstream": UP, "policy": {"groups": ["ops"]}},
    {"path": "/get", "upstream": UP, "policy": {"methods": ["GET"]}},
    {"path": "/near", "upstream": UP, "policy": {"networks": ["192.0.2.0/24"]}},
    {"path": "/now", "upstream": UP, "policy": {"max_age": "5m"}},
    {"path": "/ours", "respond": {"body": "x"}},
    {
        "path": "/named",
        "upstream": UP,
        "headers": {"rename": {"Remote-User": "X-Who"}, "drop": ["Remote-Name"]},
    },
    {"path": "/quiet", "upstream": UP, "websocket": False},
    {
        "path": "/",
        "upstream": UP,
        "rules": [
            {"paths": ["/app/*", "/home/{user}"]},
            {"paths": ["/pub"], "require": "bypass"},
            {"query": [{"key": {"one_of": ["k"]}}], "require": "bypass"},
        ],
    },
]
PATHS = (
    *("/open", "/open/x?a=1", "/shut", "/one", "/ops", "/get", "/near", "/now", "/ours", "/named", "/quiet"),
    *("/app/x", "/pub", "/nowhere", "/nowhere?key=k", "/nowhere?key=k&key=x", "/home/alice", "/home/bob"),
    *("/open/%2e%2e/shut", "/open//x", "/x;y", "/open/../shut", "/open?", "/open#x", "/op%65n"),
)
HOST = "app.test:8080"


def traefik(uri: str, method: str = "GET") -> tuple[str, list[str]]:
    told = {"Method": method, "Proto": "http", "Host": HOST, "Uri": uri}
    return "/_auth/forward", ["Host: gw", *(f"X-Forwarded-{name}: {value}" for name, value in told.items())]


def nginx(uri: str, method: str = "GET") -> tuple[str, list[str]]:
    named = [f"X-Original-URL: http://{HOST}{uri}", f"X-Original-Method: {method}"]
    return "/_auth/forward", [f"Host: {HOST}", "X-Forwarded-For: 192.0.2.7", *named]


def envoy(uri: str, method: str = "GET") -> tuple[str, list[str]]:
    return f"/_auth/forward{uri}", [f"Host: {HOST}", "X-Forwarded-Proto: http"]


OWN = (traefik, nginx, envoy)


def question(path: str, headers: Sequence[str], cookie: str = "", method: str = "GET") -> bytes:
    told = [f"Cookie: {cookie}"] if cookie else []
    return "\r\n".join([f"{method} {path} HTTP/1.1", *headers, "Accept: text/html", *told, "", ""]).encode(
        "latin-1"
    )


@dataclass
class Pair:
    """Two gateways that differ in the fast path alone. `cookies` of one and of the other, by what was proven."""

    fast: Rig
    ordinary: Rig
    cookies: dict[str, tuple[str, str]]
    handled: int = 0
    """Requests that the first one's ordinary path has answered."""

    def count(self) -> None:
        self.handled += 1

    async def same(self, make: Any, state: str = "nobody", times: int = 3) -> Sequence[Said]:
        """Ask both, the first so often that it knows the answer. `make` has the bytes for a cookie."""
        mine, other = self.cookies[state]
        got = await talk(self.fast.port, [make(mine)] * times, ["GET"] * times, 0.001)
        expected = await talk(self.ordinary.port, [make(other)], ["GET"])
        assert [_masked(one) for one in got] == [_masked(expected[0])] * times, make(mine)
        return got

    async def taken(self, make: Any, state: str = "nobody") -> bool:
        """Whether a question is answered by the fast path, when it comes again.

        News of the sign-in, heard meanwhile, has a session read anew once: so it may come a few times.
        """
        for _ in range(4):
            before = self.handled
            await self.same(make, state, times=1)
            if self.handled == before:
                return True
        return False


def _masked(said: Said) -> Said:
    """Without what is signed, since each gateway has its own keys."""
    if len(said) < 2:
        return said
    start, fields, *rest = said
    return (start, [re.sub(rb": eyJ\S+", b"", one) for one in fields], *rest)  # type: ignore[union-attr,attr-defined]


@asynccontextmanager
async def pair(routes: list[dict[str, Any]] = ROUTES, **more: Any) -> AsyncIterator[Pair]:
    server = {"trusted_proxies": ["127.0.0.1/32"], **more.pop("server", {})}
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
        async with (
            running_gateway(Path(one), server={**server, "fast_path": True}, routes=routes, **more) as fast,
            running_gateway(
                Path(two), server={**server, "fast_path": False}, routes=routes, **more
            ) as ordinary,
        ):
            both = Pair(fast, ordinary, {"nobody": ("", "")})
            found: dict[str, list[str]] = {"password": [], "signed in": []}
            for rig in (fast, ordinary):
                await rig.add_user("alice", email="a@example.com", groups=("ops",))
                async with rig.browser() as browser:
                    await browser.password()
                    found["password"].append(f"auth_session={browser.cookie()}")
                async with rig.browser() as browser:
                    await browser.sign_in(rd="/app/x")
                    found["signed in"].append(f"auth_session={browser.cookie()}")
            both.cookies |= {state: (one, two) for state, (one, two) in found.items()}
            on_ordinary_path(fast, both.count)
            yield both
