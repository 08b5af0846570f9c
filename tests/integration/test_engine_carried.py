"""What Envoy carries itself with `server.engine: envoy`: as our own proxy would, and only what a worker has allowed."""

import asyncio
import json
import time
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from gateway.config.schema import Config
from gateway.engines.carrying import carried as carried_names
from gateway.engines.front_envoy import front_files
from gateway.engines.front_place import ROUTES, EnginePlace
from gateway.engines.front_watch import ASK_AGAIN_AFTER
from gateway.server.carried import NOT_CARRIED
from tests.doors.run import RealClock
from tests.engine_rig import behind_envoy, carried, carried_so_far
from tests.rig import Rig, echo
from tests.security.test_engine_trailers import http2_app
from tests.waiting import free_port, until

pytestmark = pytest.mark.xdist_group("engine")
PATIENCE = 60


async def app(request: web.Request) -> web.StreamResponse:
    """/download sends for as long as somebody reads; /cookies and /moved name the app's own address."""
    here = f"http://{request.transport.get_extra_info('sockname')[0]}:{request.transport.get_extra_info('sockname')[1]}"
    if request.path == "/cookies":
        own = ("auth_session=theirs", "__Host-auth_session_pass=x", "theirs=1; Domain=app.internal; Path=/")
        headers = [("Set-Cookie", cookie) for cookie in own]
        headers += [("Clear-Site-Data", '"cookies", "storage"'), ("Cache-Control", "public, max-age=600")]
        return web.Response(headers=[*headers, ("X-Accel-Expires", "600")])
    if request.path == "/moved":
        return web.Response(
            status=302, headers={"Location": f"{here}/elsewhere?x=1", "Refresh": f"5; url={here}/y"}
        )
    if request.path != "/download":
        return await echo(request)
    answer = web.StreamResponse(headers={"Content-Type": "application/octet-stream"})
    await answer.prepare(request)
    while True:
        await answer.write(b"x" * 65536)


async def test_a_signed_in_user_is_carried_and_the_app_gets_what_it_gets_from_us(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        behind_envoy(tmp_path, monkeypatch, handler=app, clock=RealClock()) as rig,
        rig.browser() as browser,
    ):
        await rig.add_user()
        assert (await browser.get("/x")).status == 303
        # What a worker says to Envoy no client can say.
        (name,) = carried_names(rig.config)
        claims = {
            "X-Gateway-Carry": name,
            "X-Gateway-Asks": "1",
            "X-Gateway-M-Again": "1 GET http 127.0.0.1 x / x",
        }
        assert (await browser.get("/x", **claims)).status == 303
        assert carried_so_far(rig) == 0
        await browser.sign_in()
        forged = {"Remote-User": "root", "Remote.User": "root", "X-Real-IP": "1.1.1.1", "X-Mine": "1"}
        first = await (await carried(rig, lambda: browser.get("/x", **forged))).json()
        second = await (await carried(rig, lambda: browser.post("/x?q=1", {"a": "b"}, **forged))).json()
        for told in (first, second):
            headers = {name.lower(): value for name, value in told["headers"]}
            assert "root" not in headers.values()
            assert (headers["remote-user"], headers["x-mine"]) == ("alice", "1")
            assert headers["x-forwarded-for"] == "127.0.0.1"
            assert headers["x-forwarded-proto"] == "http"
            assert "auth_session" not in headers.get("cookie", "")
            assert not [
                name for name in headers if name.startswith(("x-gateway", "x-envoy")) or name == "x-real-ip"
            ]
        assert (second["method"], second["path"], second["body"]) == ("POST", "/x?q=1", "a=b")

        cookies = await carried(rig, lambda: browser.get("/cookies"))
        assert cookies.headers.getall("Set-Cookie") == ["theirs=1; Domain=127.0.0.1; Path=/"]
        assert cookies.headers["Clear-Site-Data"] == '"storage"'
        assert cookies.headers["Cache-Control"] == "private, max-age=600"
        assert "X-Accel-Expires" not in cookies.headers
        moved = await carried(rig, lambda: browser.get("/moved"))
        assert moved.headers["Location"] == f"{rig.url}/elsewhere?x=1"
        assert moved.headers["Refresh"] == f"5; url={rig.url}/y"


async def test_a_download_that_envoy_carries_stops_when_its_session_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut, as by our own proxy: not only when it has been silent for `timeouts.idle`, which is 5 minutes."""
    async with (
        behind_envoy(tmp_path, monkeypatch, handler=app, clock=RealClock()) as rig,
        rig.browser() as browser,
    ):
        await rig.add_user()
        await browser.sign_in()
        answer = await carried(rig, lambda: browser.session.get(f"{rig.url}/download"))
        async with asyncio.timeout(PATIENCE):
            before = questions(rig)
            while questions(rig) < before + 2:  # it is asked about, and goes on
                await answer.content.readexactly(8_000_000)
            await answer.content.readexactly(20_000_000)
        await rig.gateway.stores.sessions.delete_for_user("alice")
        async with asyncio.timeout(PATIENCE):
            with pytest.raises(aiohttp.ClientError):
                await all_thrown_away(answer)


def questions(rig: Rig) -> int:
    """How often Envoy has asked a worker."""
    assert rig.engine is not None
    return sum(map(int, rig.engine.stats(r"^cluster\.gateway\.upstream_rq_total$").values()))


async def test_an_answer_that_begins_when_its_session_has_ended_has_no_body(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(request: web.Request) -> web.StreamResponse:
        if request.path == "/slow":
            begun.set()
            await go_on.wait()
        return await echo(request)

    async with (
        behind_envoy(tmp_path, monkeypatch, handler=slow, clock=RealClock()) as rig,
        rig.browser() as browser,
    ):
        await rig.add_user()
        await browser.sign_in()
        await carried(rig, lambda: browser.get("/x"))
        asked = asyncio.create_task(browser.get("/slow"))
        async with asyncio.timeout(PATIENCE):
            await begun.wait()
            await rig.gateway.stores.sessions.delete_for_user("alice")
            since = time.time()
            await until(lambda: time.time() > since + ASK_AGAIN_AFTER / 1000, "the yes is too old")
            go_on.set()
            answer = await asked
        assert (answer.status, await answer.text()) == (403, "")


async def all_thrown_away(answer: aiohttp.ClientResponse) -> None:
    while await answer.content.readany():
        pass


async def test_an_event_stream_goes_through_a_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with behind_envoy(tmp_path, monkeypatch, handler=app) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.sign_in()
        await carried(rig, lambda: browser.get("/x"))
        before = carried_so_far(rig)
        assert (await browser.get("/x", Accept="text/event-stream")).status == 200
        assert carried_so_far(rig) == before


async def test_an_app_that_is_gone_is_told_of_without_detail_where_no_worker_makes_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.server.carried.failure_page", lambda *_: NOT_CARRIED)
    gone = {"upstream": f"http://127.0.0.1:{free_port()}", "policy": {"require": "bypass"}}
    async with behind_envoy(tmp_path, monkeypatch, routes=[gone]) as rig, rig.browser() as browser:
        answer = await browser.get("/x")
        assert (answer.status, await answer.text()) == (502, "The application did not answer.\n")
        assert answer.headers["Cache-Control"] == "no-store"
        assert not [name for name in answer.headers if name.lower().startswith(("x-gateway", "x-envoy"))]


async def test_files_that_envoy_does_not_take_are_noticed_at_once_with_its_words_and_the_old_ones_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_to_all = {"upstream": "UPSTREAM", "policy": {"require": "bypass"}}
    async with behind_envoy(tmp_path, monkeypatch, routes=[open_to_all]) as rig, rig.browser() as browser:
        engine = rig.engine
        assert engine is not None

        def broken(config: Config, place: EnginePlace) -> dict[str, str]:
            files = front_files(config, place)
            found = json.loads(files[ROUTES])
            (host,) = found["resources"][0]["virtual_hosts"]
            found["version_info"], host["routes"][0]["match"] = (
                "broken",
                {"safe_regex": {"regex": "(unended"}},
            )
            return {**files, ROUTES: json.dumps(found)}

        with monkeypatch.context() as patch:
            patch.setattr("gateway.engines.front_envoy.front_files", broken)
            engine.apply(rig.config)
        await until(lambda: not engine.current() and engine.late(0.0), "it is noticed")  # no time has passed
        assert "missing )" in engine.last_words
        assert (await browser.get("/x")).status == 200
        engine.apply(rig.config)
        await until(engine.current, "the old files are taken")
        assert not engine.late(0.0)


@pytest.mark.parametrize("way", ["a worker says so", "the name alone"])
async def test_a_route_that_only_one_of_the_two_knows_costs_nobody_the_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """In a reload Envoy may have another configuration than the worker that it asks."""
    async with behind_envoy(tmp_path, monkeypatch, clock=RealClock()) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.sign_in()
        await carried(rig, lambda: browser.get("/x"))
        engine = rig.engine
        assert engine is not None
        route = rig.config.routes[0].model_copy(update={"cacheable": True})
        if way == "the name alone":  # a worker that has said yes the moment before
            monkeypatch.setattr("gateway.server.carried.CarriedRequests.knows", lambda *_: True)
        engine.apply(rig.config.model_copy(update={"routes": (route,)}))
        await until(engine.current, "Envoy has the new configuration")
        # A connection from before has the filters from before, and ends behind its next answer.
        assert (await browser.get("/x")).status in (200, 503)
        before, asked = carried_so_far(rig), questions(rig)
        answers = [await browser.get("/x") for _ in range(3)]
        assert questions(rig) > asked
        assert carried_so_far(rig) == before
        if way == "the name alone":
            assert {answer.status for answer in answers} == {503}
            assert answers[0].headers["Retry-After"] == "1"
            assert "Set-Cookie" not in answers[0].headers
        else:
            assert [answer.status for answer in answers] == [200, 200, 200]


async def test_somebody_signed_in_stays_so_at_an_app_that_speaks_http_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with http2_app() as (url, got):
        routes = [{"path": "/other", "upstream": "UPSTREAM"}, {"upstream": url}]
        async with (
            behind_envoy(tmp_path, monkeypatch, routes=routes, clock=RealClock()) as rig,
            rig.browser() as browser,
        ):
            await rig.add_user()
            await browser.sign_in()
            assert [(await browser.get("/x")).status for _ in range(4)] == [200] * 4
            await carried(rig, lambda: browser.get("/other"))
            assert len(got) == 8
