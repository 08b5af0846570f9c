"""PostgreSQL is far away, or stands still for a moment, behind a TCP proxy of ours: who is signed in hardly notices."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.model import SessionRecord
from tests.rig import Rig, running_gateway
from tests.waiting import PATIENCE


class Link:
    """A TCP proxy that can hold back all bytes."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.open.set()
        self.port = 0
        self.delay = 0.0
        """Seconds that each piece takes on its way."""

    async def pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                await self.open.wait()
                await asyncio.sleep(self.delay)
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()


@asynccontextmanager
async def link_to(database: str) -> AsyncIterator[tuple[Link, str]]:
    """The proxy, and the database's URL through it."""
    place, _, name = database.removeprefix("postgresql://postgres@").partition("/")
    host, _, port = place.partition(":")
    link, pumps = Link(), set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(host, int(port))
        for pump in (link.pass_on(reader, back), link.pass_on(there, writer)):
            task = asyncio.create_task(pump)
            pumps.add(task)
            task.add_done_callback(pumps.discard)

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    link.port = server.sockets[0].getsockname()[1]
    try:
        yield link, f"postgresql://postgres@127.0.0.1:{link.port}/{name}"
    finally:
        link.open.set()
        server.close()
        for task in tuple(pumps):
            task.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)


@asynccontextmanager
async def signed_in(folder: Path, database: str) -> AsyncIterator[tuple[Rig, "Link", object]]:
    async with link_to(database) as (link, url), running_gateway(folder, storage={"url": url}) as rig:
        await rig.add_user()
        async with rig.browser() as alice:
            await alice.sign_in()
            assert (await alice.get("/app")).status == 200
            yield rig, link, alice


def count_reads(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The sessions that the gateway reads from now on."""
    read: list[str] = []
    get = rig.gateway.stores.sessions.get

    async def counting(sid: str) -> SessionRecord | None:
        read.append(sid)
        return await get(sid)

    monkeypatch.setattr(rig.gateway.stores.sessions, "get", counting)
    return read


async def test_a_known_session_is_served_from_memory_and_read_again_behind(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with signed_in(tmp_path, database) as (rig, link, alice):
        read = count_reads(rig, monkeypatch)
        link.open.clear()
        rig.clock.advance(61)
        for path in ("/app", "/other", "/app"):
            async with asyncio.timeout(PATIENCE):
                assert (await alice.get(path)).status == 200, "while the database says nothing at all"
        link.open.set()
        await rig.gateway.sessions._behind.finish()
        assert len(read) == 1
        for _ in range(2):  # the feed of changes stood still as well, and may have had something to tell
            known = len(read)
            assert (await alice.get("/app")).status == 200
            await rig.gateway.sessions._behind.finish()
        assert len(read) == known, "it was remembered"


async def test_many_requests_that_must_wait_share_one_read(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with signed_in(tmp_path, database) as (rig, link, alice):
        read = count_reads(rig, monkeypatch)
        rig.gateway.sessions._cache.distrust()
        link.open.clear()
        waiting = [asyncio.create_task(alice.get("/app")) for _ in range(30)]
        while not read:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.2)  # the others have come as well by now, or count as one more read below
        link.open.set()
        assert {(await one).status for one in waiting} == {200}
        assert len(read) == 1


async def test_a_request_waits_for_a_while_only_and_then_goes_by_what_is_known(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with signed_in(tmp_path, database) as (rig, link, alice):
        monkeypatch.setattr("gateway.session.cache.PATIENCE", 0.3)
        async with rig.browser() as stranger:
            stranger.session.cookie_jar.update_cookies({"auth_session": alice.cookie()})
            rig.gateway.sessions._cache.drop(alice.cookie())
            link.open.clear()
            assert (await stranger.get("/app")).status == 503, "nothing is known of it here"
            link.open.set()
            await asyncio.sleep(0)
            async with asyncio.timeout(PATIENCE):
                while (await stranger.get("/app")).status != 200:
                    await asyncio.sleep(0.05)
        assert (await alice.get("/app")).status == 200
        rig.gateway.sessions._cache.distrust()
        link.open.clear()
        assert (await alice.get("/app")).status == 200, "what is known of it goes on"
        link.open.set()


async def test_what_was_revoked_while_it_was_being_read_is_gone_at_once(
    tmp_path: Path, database: str
) -> None:
    async with signed_in(tmp_path, database) as (rig, link, alice):
        rig.clock.advance(61)
        link.open.clear()
        assert (await alice.get("/app")).status == 200
        rig.gateway.sessions.forget_user("alice")  # as the feed of changes does
        link.open.set()
        assert await rig.gateway.stores.sessions.delete_for_user("alice") == 1
        assert (await alice.get("/app")).status == 303
        await rig.gateway.sessions._behind.finish()
        assert (await alice.get("/app")).status == 303


async def test_a_database_that_is_far_away_costs_nobody_who_is_signed_in_an_error(
    tmp_path: Path, database: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with signed_in(tmp_path, database) as (rig, link, alice):
        link.delay = 0.4
        for _ in range(3):
            rig.clock.advance(61)
            answers = await asyncio.gather(*(alice.get("/app") for _ in range(60)))
            assert {one.status for one in answers} == {200}
        link.delay = 0.0
    assert "QueuePool" not in caplog.text
