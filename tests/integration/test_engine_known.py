"""What Envoy carries without asking again: only what a worker has just allowed, and a revocation still ends it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import ClientResponse, web
from yarl import URL

from tests.doors.run import RealClock
from tests.engine_rig import behind_envoy, carried
from tests.rig import Browser, Rig, echo
from tests.security.test_engine_trailers import Http2End
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.xdist_group("engine")
ROUTES = [
    {"path": "/closed", "upstream": "UPSTREAM", "policy": {"require": "deny"}},
    {"path": "/ruled", "upstream": "UPSTREAM", "rules": [{"paths": ["/ruled/a"]}, {"require": "deny"}]},
    {"upstream": "UPSTREAM"},
]


@asynccontextmanager
async def signed_in(folder: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Rig, Browser]]:
    async with (
        behind_envoy(folder, monkeypatch, clock=RealClock(), routes=ROUTES) as rig,
        rig.browser() as browser,
    ):
        await rig.add_user()
        await browser.sign_in()
        yield rig, browser


def unasked(rig: Rig) -> int:
    """How many requests Envoy has carried without a question so far."""
    assert rig.engine is not None
    return int(rig.engine.stats(r"^http\.public\.ext_authz\.disabled$")["http.public.ext_authz.disabled"])


async def get(browser: Browser, path: str, **headers: str) -> ClientResponse:
    url = URL(f"{browser.rig.url}{path}", encoded=True)
    answer = await browser.session.get(url, headers=headers, allow_redirects=False)
    await answer.read()
    return answer


async def told(answer: ClientResponse) -> dict[str, str]:
    return {name.lower(): value for name, value in (await answer.json())["headers"]}


async def test_a_request_like_one_that_was_allowed_is_carried_alike_without_a_question(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with signed_in(tmp_path, monkeypatch) as (rig, browser):
        forged = {"Remote-User": "root", "Remote_User": "root", "X-Mine": "1"}
        first = await told(await get(browser, "/first?q=1", **forged))
        seen = [first]

        async def again() -> ClientResponse | None:
            before = unasked(rig)
            answer = await get(browser, f"/again/{len(seen)}?q=1", **forged)
            seen.append(await told(answer))
            return answer if unasked(rig) > before else None

        answer = await until(again, "Envoy carries one without a question")
        here, name = seen[-1], "x-request-id"
        changing = {name, "x-auth-assertion"}
        assert {key: here[key] for key in here if key not in changing} == {
            key: first[key] for key in first if key not in changing
        }
        assert here["remote-user"] == "alice"
        assert len({one[name] for one in seen}) == len(seen)
        assert answer.headers["Cache-Control"] == "private"
        body = await answer.json()
        assert body["path"] == f"/again/{len(seen) - 1}?q=1"


async def between(rig: Rig, browser: Browser, ask: Callable[[], Awaitable[ClientResponse]]) -> ClientResponse:
    """What `ask` gets while Envoy knows that somebody may have /known: before it and after it no worker is asked."""

    async def once() -> tuple[ClientResponse] | None:
        at = [unasked(rig)]
        await get(browser, "/known")
        at.append(unasked(rig))
        answer = await ask()
        at.append(unasked(rig))
        await get(browser, "/known")
        at.append(unasked(rig))
        if at[1] == at[0] or at[3] == at[2]:
            return None
        assert at[2] == at[1], "Envoy carried it without a question"
        return (answer,)

    return (await until(once, "Envoy knows"))[0]


async def test_whatever_is_not_the_same_is_asked_about(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with signed_in(tmp_path, monkeypatch) as (rig, browser):
        odd = ("/x/../closed", "/x%2fy", "//x", "/.hidden", "/x;y", "/_auth/nothing")
        for path in ("/closed", "/closed/x", "/ruled/b", *odd):
            unknown = (await get(browser, path, **{"X-New": path})).status
            known = await between(rig, browser, lambda path=path: get(browser, path))
            assert known.status == unknown, path
            assert (known.status == 403) == (path in ("/closed", "/closed/x", "/ruled/b"))
        assert (await between(rig, browser, lambda: browser.post("/known", {"a": "b"}))).status == 200
        async with rig.browser() as stranger:  # whose other headers are the same
            assert (await between(rig, browser, lambda: get(stranger, "/known"))).status == 401


async def test_another_address_and_another_session_on_one_connection_are_asked_about(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same headers to the last byte from elsewhere; and two sessions whose requests share an HTTP/2 connection."""
    async with signed_in(tmp_path, monkeypatch) as (rig, browser):
        await rig.add_user("bob")
        async with rig.browser() as other:
            await other.sign_in("bob")
            cookies = {"alice": browser.cookie(), "bob": other.cookie()}
            path, addresses = "/known", list[str]()

            async def from_elsewhere() -> ClientResponse:
                addresses.append(
                    f"127.0.0.{len(addresses) + 2}"
                )  # each try from one that nobody has asked from yet
                there = aiohttp.TCPConnector(local_addr=(addresses[-1], 0))
                jar = browser.session.cookie_jar
                async with aiohttp.ClientSession(cookie_jar=jar, connector=there) as session:
                    answer = await session.get(f"{rig.url}{path}")
                    await answer.read()
                    return answer

            answer = await between(rig, browser, from_elsewhere)
            assert (await told(answer))["x-forwarded-for"] == addresses[-1]

        async with asyncio.timeout(PATIENCE):
            client = Http2End(*await asyncio.open_connection("127.0.0.1", rig.port), client=True)
            ended = client.ended()
            seen = unasked(rig)
            for stream in range(1, 81, 2):
                who = "alice" if stream % 4 == 1 else "bob"
                head = [(":method", "GET"), (":scheme", "http"), (":path", path)]
                head += [
                    (":authority", f"127.0.0.1:{rig.port}"),
                    ("cookie", f"auth_session={cookies[who]}"),
                ]
                client.state.send_headers(stream, head, end_stream=True)
                await client.flush()
                assert await anext(ended) == stream
                assert f'["Remote-User", "{who}"]' in client.bodies[stream].decode(), stream
            assert unasked(rig) > seen, "some of it Envoy knew"
            client.writer.close()


async def test_a_session_that_is_ended_is_carried_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with signed_in(tmp_path, monkeypatch) as (rig, browser):
        await between(rig, browser, lambda: get(browser, "/closed"))
        await rig.gateway.stores.sessions.delete_for_user("alice")

        async def refused() -> bool:
            return [(await get(browser, "/known")).status for _ in range(2)] == [401, 401]

        await until(refused, "the session has ended for Envoy, too")
        assert (await get(browser, "/known")).status == 401


async def test_a_yes_grows_old_also_where_who_asks_anew_waits_for_the_app(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One request asks anew while the others go on; an app that keeps it waiting must not keep the old yes alive."""
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def app(request: web.Request) -> web.Response:
        if request.path.startswith("/slow"):
            begun.set()
            await go_on.wait()
        return await echo(request)

    async with (
        behind_envoy(tmp_path, monkeypatch, handler=app, clock=RealClock()) as rig,
        rig.browser() as browser,
    ):
        await rig.add_user()
        await browser.sign_in()
        waiting: list[asyncio.Task[ClientResponse]] = []

        async def asks_anew() -> bool:
            begun.clear()
            before = unasked(rig)
            await get(browser, "/known")
            between = unasked(rig)
            waiting.append(asyncio.create_task(get(browser, f"/slow/{len(waiting)}")))
            await begun.wait()
            return between > before and unasked(rig) == between

        await until(asks_anew, "one asks anew beside a yes that Envoy has")
        await rig.gateway.stores.sessions.delete_for_user("alice")

        async def refused() -> bool:
            return (await get(browser, "/known")).status == 401

        await until(refused, "the yes is too old")
        go_on.set()
        await asyncio.gather(*waiting, return_exceptions=True)


async def test_no_trailers_of_a_client_reach_the_app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An app may read them as headers. It gets all that Envoy sends: this one is no parser."""
    got: asyncio.Queue[bytes] = asyncio.Queue()

    async def app(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n0\r\n")
        request += await reader.readuntil(b"\r\n")
        while not request.endswith(b"\r\n\r\n"):
            request += await reader.readuntil(b"\r\n")
        got.put_nowait(request)
        writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(app, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    route = {"upstream": f"http://127.0.0.1:{port}", "policy": {"require": "bypass"}}
    async with server, behind_envoy(tmp_path, monkeypatch, routes=[route]) as rig:

        async def send() -> bytes:
            reader, writer = await asyncio.open_connection("127.0.0.1", rig.port)
            head = f"POST /x HTTP/1.1\r\nHost: 127.0.0.1:{rig.port}\r\nTransfer-Encoding: chunked\r\n\r\n"
            writer.write(head.encode() + b"4\r\nbody\r\n0\r\nRemote-User: root\r\nX-Odd: root\r\n\r\n")
            answer = await reader.readuntil(b"\r\n\r\n")
            writer.close()
            assert answer.startswith(b"HTTP/1.1 204"), answer
            return await got.get()

        request = await carried(rig, send)
        assert b"4\r\nbody\r\n" in request
        assert b"root" not in request
