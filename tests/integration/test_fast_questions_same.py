"""Forward-auth on the fast path against its reference: the same question, the same answer, the same line in the log."""

import asyncio
import io
import json
import logging
import re
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from gateway.config.schema import Log
from gateway.observability import log as gateway_log
from gateway.server.fastpath import questions
from tests.both_paths import Said, on_ordinary_path, talk
from tests.integration.test_fast_credentials_same import basic
from tests.peer_dialects import ALL, DIALECTS
from tests.rig import PASSWORD, Rig, running_gateway
from tests.security.test_service_accounts import TOKEN, add_token

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


@pytest.mark.parametrize("state", ["nobody", "password", "signed in"])
async def test_every_dialect_of_ours_gets_the_same_answers_on_both_paths(state: str) -> None:
    async with pair() as both:
        for dialect in OWN:
            for uri in PATHS:
                for method in ("GET", "POST"):
                    path, headers = dialect(uri, method)
                    spoken = method if dialect is envoy else "GET"
                    await both.same(
                        lambda c, p=path, h=headers, m=spoken: question(p, h, c, m), state, times=2
                    )


@pytest.mark.parametrize("dialect", OWN)
async def test_a_yes_is_known_the_second_time_whatever_the_uri(dialect: Any) -> None:
    async with pair() as both:
        for uri in ("/named", "/app/x"):
            assert await both.taken(lambda c, u=uri: question(*dialect(u), c), "signed in")
        assert await both.taken(lambda c: question(*dialect("/open"), c), "nobody")
        for number in range(20):
            assert await both.taken(lambda c, n=number: question(*dialect(f"/app/{n}?q={n}"), c), "signed in")
        for uri in ("/shut", "/nowhere", "/ours"):
            assert not await both.taken(lambda c, u=uri: question(*dialect(u), c), "signed in")
        assert not await both.taken(lambda c: question(*dialect("/one"), c), "nobody")


@pytest.mark.parametrize("dialect", OWN)
async def test_a_proxy_that_opens_a_connection_for_each_question_is_answered_alike(dialect: Any) -> None:
    path, headers = dialect("/app/x")
    async with pair() as both:
        make = lambda c: question(path, [*headers, "Connection: close"], c)  # noqa: E731
        assert await both.taken(make, "signed in")
        said = await both.same(make, "signed in", 1)
        assert b"Connection: close" in said[0][1]  # type: ignore[operator]


@pytest.mark.parametrize("x_forwarded", [False, True])
async def test_the_doors_of_other_gateways_answer_the_same_on_both_paths(x_forwarded: bool) -> None:
    """Those that name no path or name it twice, or with two slashes, go the ordinary way."""
    forward = {"compatible": ALL, "x_forwarded": x_forwarded}
    slow = {"authelia legacy npm", "authelia envoy"}
    async with pair(forward=forward) as both:
        for dialect in DIALECTS:
            for uri in ("/one", "/open/x", "/shut", "/app/x", "/pub?a=b"):
                told = {"Host": "gw", **dialect.headers(HOST, uri)}
                path = dialect.path + uri if "envoy" in dialect.name else dialect.path
                headers = [f"{name}: {value}" for name, value in told.items()]
                for state in ("nobody", "signed in"):
                    await both.same(lambda c, p=path, h=headers: question(p, h, c), state)
            told = {"Host": "gw", **dialect.headers(HOST, "/open/x")}
            path = dialect.path + "/open/x" if "envoy" in dialect.name else dialect.path
            headers = [f"{name}: {value}" for name, value in told.items()]
            if dialect.name.startswith(("oauth2", "vouch")) and bool(dialect.forward) != x_forwarded:
                continue  # not understood
            taken = await both.taken(lambda c, p=path, h=headers: question(p, h, c), "signed in")
            assert taken == (dialect.name not in slow), dialect.name


async def test_what_an_oauth2_proxy_door_demands_of_the_user_holds_on_both_paths() -> None:
    async with pair(forward={"compatible": ALL}) as both:
        for query, yes in (
            ("allowed_groups=ops", True),
            ("allowed_groups=dev", False),
            ("allowed_emails=", False),
        ):
            told = [f"Host: {HOST}", "X-Forwarded-Uri: /one"]
            said = await both.same(
                lambda c, q=query, t=told: question(f"/oauth2/auth?{q}", t, c), "signed in"
            )
            assert (b" 202 " in said[-1][0]) == yes, query  # type: ignore[operator]


MORE = [
    "X-Forwarded-Uri: /open",
    "X-Forwarded-Uri: /app/x",
    "x-forwarded-uri:/shut",
    "X-Original-URL: http://app.test:8080/open",
    "X-Original-URL: http://other.test/app/x",
    "X-Original-URL: https://app.test/app/x?y=z",
    "X-Original-Method: POST",
    "X-Original-URL:",
    "x_original_url: http://app.test/open",
    "X-Forwarded-Method: DELETE",
    "X-Forwarded-Host: elsewhere.test",
    "X-Forwarded-For: 192.0.2.9",
    "X-Forwarded-For: 203.0.113.9, 127.0.0.1",
    "X-Request-Id: name-1",
    "x-request-id: name-2",
    'X-Request-Id: a" injected',
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Origin: http://evil.example",
    "Origin: http://app.test:8080",
    "Authorization: Bearer x",
    "X-Gateway-Consumes: authorization",
    "Destination: http://app.test:8080/shut",
    "Content-Length: 0",
    "Connection: close",
    "Connection: keep-alive, Cookie",
    "Remote-User: root",
    "Upgrade: websocket",
    "Cookie: a=b",
]
WAYS = [
    "",
    "?route=*/open",
    "?route=*/",
    "?route=app.test/x",
    "?route=",
    "/",
    "//",
    "/open",
    "/app/x?route=*/",
]


@settings(max_examples=4, deadline=None, phases=[Phase.generate])
@given(
    st.lists(
        st.tuples(
            st.sampled_from(OWN),
            st.sampled_from(PATHS),
            st.lists(st.sampled_from(MORE), max_size=3),
            st.sampled_from(["", "", "", *WAYS]),
            st.sampled_from(["GET", "GET", "GET", "HEAD", "POST"]),
            st.sampled_from(["nobody", "signed in"]),
            st.booleans(),
        ),
        min_size=60,
        max_size=60,
    )
)
def test_made_up_questions_are_answered_alike(made: list[tuple[Any, ...]]) -> None:
    async def run() -> None:
        async with pair() as both:
            for dialect, uri, more, way, method, state, first in made:
                path, headers = dialect(uri)
                lines = [*more, *headers] if first else [*headers, *more]
                mine, other = both.cookies[state]
                got = [
                    [
                        _masked(one)
                        for one in await talk(
                            port, [question(path + way, lines, cookie, method)] * 2, [method] * 2
                        )
                    ]
                    for port, cookie in ((both.fast.port, mine), (both.ordinary.port, other))
                ]
                assert got[0] == got[1], (path + way, lines, method, state)

    asyncio.run(run())


async def test_questions_and_requests_on_one_connection_are_answered_in_order() -> None:
    async with pair() as both:
        mine, other = both.cookies["signed in"]

        def many(cookie: str) -> bytes:
            kinds = [
                nginx("/app/1"),
                ("/open/x", [f"Host: {HOST}"]),
                nginx("/shut"),
                nginx("/app/2"),
                traefik("/one"),
            ]
            return b"".join(question(path, headers, cookie) for path, headers in kinds * 3)

        await talk(both.fast.port, [many(mine)], ["GET"] * 15)
        got = await talk(both.fast.port, [many(mine)], ["GET"] * 15)
        expected = await talk(both.ordinary.port, [many(other)], ["GET"] * 15)
        assert [one[0] for one in got] == [one[0] for one in expected]
        assert [one[0] for one in got[:5]].count(b"HTTP/1.1 200 OK") == 4
        assert len(got) == 15


async def test_a_gateway_that_drains_says_so_in_its_answers() -> None:
    async with pair() as both:
        assert await both.taken(lambda c: question(*nginx("/app/x"), c), "signed in")
        for rig in (both.fast, both.ordinary):
            assert rig.gateway._server is not None
            rig.gateway._server.draining = True
        said = await both.same(lambda c: question(*nginx("/app/x"), c), "signed in", times=1)
        assert said[0][1][-1] == b"Connection: close"  # type: ignore[index]
        for rig in (both.fast, both.ordinary):
            assert rig.gateway._server is not None
            rig.gateway._server.draining = False


async def test_nobody_but_a_trusted_proxy_gets_an_answer_from_memory() -> None:
    async with pair(server={"trusted_proxies": ["192.0.2.1"]}) as both:
        for dialect in OWN:
            assert not await both.taken(lambda c, d=dialect: question(*d("/open"), c))


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    before, stream = logging.getLogger().handlers[:], io.StringIO()
    gateway_log.configure(Log(), stream)
    yield stream
    logging.getLogger().handlers[:] = before


async def test_log_and_metrics_say_the_same_on_both_paths(lines: io.StringIO) -> None:
    def counted() -> float:
        labels = {"route": "*/", "status": "200", "verdict": "allow"}
        return REGISTRY.get_sample_value("auth_gateway_requests_total", labels) or 0.0

    names = ["X-Request-Id: from-the-proxy", "User-Agent: probe/1"]
    async with pair() as both:
        path, headers = nginx("/app/x?secret=1", "POST")
        assert await both.taken(lambda c: question(path, [*headers, *names], c), "signed in")
        both.fast.gateway._fast._tally.flush()
        before, lines_before = counted(), len(lines.getvalue())
        await both.same(lambda c: question(path, [*headers, *names], c), "signed in", times=1)
    entries = [json.loads(one) for one in lines.getvalue()[lines_before:].splitlines()]
    told = [one for one in entries if one["event"] == "request"][-2:]
    fast, ordinary = [{key: one[key] for key in one if key not in ("ts", "ms")} for one in told]
    assert fast == ordinary
    assert (fast["id"], fast["path"], fast["agent"], fast["user"]) == (
        "from-the-proxy",
        "/app/x",
        "probe/1",
        "alice",
    )
    assert counted() - before == 2


@pytest.mark.parametrize("how", ["signed out", "disabled", "group"])
async def test_what_has_ended_gets_no_yes_from_memory(how: str) -> None:
    """Time stands still, so nothing but the news of the change can end what is remembered."""
    routes = [{"path": "/", "upstream": UP, "policy": {"groups": ["ops"]}}]
    async with pair(routes) as both:
        make = lambda c: question(*nginx("/app/x"), c)  # noqa: E731
        assert await both.taken(make, "signed in")
        rig, cookie = both.fast, both.cookies["signed in"][0]
        user = await rig.directory.get("alice")
        assert user is not None
        if how == "signed out":
            principal = await rig.gateway.sessions.load(cookie, "app.test")
            assert principal is not None
            await rig.gateway.stores.sessions.delete(principal.session.sid)
        elif how == "disabled":
            await rig.directory.replace(replace(user, disabled=True))
        else:
            await rig.directory.replace(replace(user, groups=()))
        async with asyncio.timeout(60):
            while (await talk(rig.port, [make(cookie)], ["GET"]))[0][0] == b"HTTP/1.1 200 OK":
                await asyncio.sleep(0.05)
        again = await talk(rig.port, [make(cookie)] * 3, ["GET"] * 3)
        assert b"HTTP/1.1 200 OK" not in [one[0] for one in again]


async def test_an_old_proof_is_asked_for_again_where_a_rule_asks_for_a_fresh_one() -> None:
    async with pair() as both:
        make = lambda c: question(*nginx("/now"), c)  # noqa: E731
        assert await both.taken(make, "signed in")
        both.fast.clock.advance(301)
        both.ordinary.clock.advance(301)
        said = await both.same(make, "signed in")
        assert said[-1][0] == b"HTTP/1.1 401 Unauthorized"


async def test_what_is_known_of_questions_stays_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(questions, "_KNOWN", 4)
    async with pair() as both:
        path, headers = nginx("/open")
        for number in range(12):
            await talk(both.fast.port, [question(path, [*headers, f"X-A: {number}"])], ["GET"])
        assert len(both.fast.gateway._fast._questions._known) == 4


async def test_two_headers_that_name_the_request_must_agree_each_time() -> None:
    """Authelia's old door takes both; what is known of a question in which they agree says nothing of another."""
    told = [
        f"X-Forwarded-{name}: {value}"
        for name, value in (("Proto", "http"), ("Host", HOST), ("Method", "GET"))
    ]

    def asked(first: str, second: str, cookie: str) -> bytes:
        uris = [f"X-Forwarded-Uri: {first}", f"X-Original-URL: http://{HOST}{second}"]
        return question("/api/verify", ["Host: gw", *told, *uris], cookie)

    async with pair([ROUTES[0], {"path": "/", "upstream": UP}], forward={"compatible": ["authelia"]}) as both:
        for first, second, yes in (("/", "/", True), ("/open", "/", False), ("/", "/open", False)):
            said = await both.same(lambda c, f=first, s=second: asked(f, s, c), "signed in")
            assert (said[-1][0] == b"HTTP/1.1 200 OK") == yes


async def test_two_names_of_one_request_are_none(lines: io.StringIO) -> None:
    async with pair() as both:
        path, headers = nginx("/app/x")
        for names in (["X-Request-Id: a", "X-Request-Id: b"], ["x-request-id: b", "X-REQUEST-ID: a"]):
            await both.same(lambda c, n=names: question(path, [*headers, *n], c), "signed in")
            await talk(both.fast.port, [question("/open", [f"Host: {HOST}", *names])] * 3, ["GET"] * 3)
    ids = [json.loads(one)["id"] for one in lines.getvalue().splitlines() if '"event": "request"' in one]
    assert not {"a", "b"} & set(ids)


async def test_credentials_count_for_a_proxy_that_keeps_them_from_the_app_on_both_paths() -> None:
    async with pair() as both:
        for rig in (both.fast, both.ordinary):
            await add_token(rig)
        path, headers = nginx("/one")
        consumes, bearer = "X-Gateway-Consumes: authorization", f"Authorization: Bearer {TOKEN}"
        right = [bearer, consumes, basic("alice", PASSWORD)]
        assert await both.taken(lambda c: question(path, [*headers, *right[:2]], c))
        assert await both.taken(lambda c: question(path, [*headers, *right[1:]], c))
        for more in ([bearer], [bearer + "x", consumes], right, [basic("alice", "wrong"), consumes]):
            for state in ("nobody", "signed in"):
                for uri in ("/one", "/open", "/ops"):
                    named = nginx(uri)[1]
                    await both.same(lambda c, n=named, m=more: question(path, [*n, *m], c), state, times=2)
