"""What the fast path knows of forward-auth questions: for whom, how long, and what it tells the log."""

import asyncio
import io
import json
from dataclasses import replace

import pytest
from prometheus_client import REGISTRY

from gateway.server.fastpath import questions
from tests.both_paths import talk
from tests.integration.test_fast_credentials_same import basic
from tests.questions_rig import HOST, OWN, ROUTES, UP, nginx, pair, question
from tests.rig import PASSWORD
from tests.service_accounts_rig import TOKEN, add_token


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
