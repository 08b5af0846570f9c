"""Redis goes away under a running gateway: nobody gets in meanwhile, who is in stays in, and it heals by itself."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.clock import system_clock
from gateway.errors import StoreUnavailable
from gateway.stores.redis.connection import RedisLink
from gateway.stores.redis.ledger import SLACK, RedisLedger
from tests.rig import Rig, running_gateway
from tests.services import Daemon, redis_server
from tests.waiting import PATIENCE


@pytest.fixture(scope="module")
def redis() -> Iterator[Daemon]:
    with redis_server() as daemon:
        yield daemon


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[tuple[RedisLink, RedisLedger]]:
    link = RedisLink(url)
    yield link, RedisLedger(link, system_clock)
    await link.close()


async def healed(rig: Rig) -> None:
    """Wait until readyz says that all parts are there again."""
    async with asyncio.timeout(PATIENCE), rig.browser() as browser:
        while (await browser.get("/_auth/readyz")).status != 200:
            await asyncio.sleep(0.05)


async def test_sign_in_is_refused_kindly_and_sessions_go_on_while_redis_is_away(
    tmp_path: Path, redis: Daemon
) -> None:
    storage = {"state_url": redis.url}
    async with running_gateway(tmp_path, storage=storage) as rig, rig.browser() as inside:
        await rig.add_user()
        await inside.sign_in()
        async with rig.browser() as half, rig.browser() as outside:
            assert (await half.password()).status == 303
            await half.get("/_auth/verify")
            code = rig.codes[-1]
            token = await half.token("/_auth/verify")
            redis.stop()
            try:
                assert (await inside.get("/app")).status == 200
                refused = await outside.password()
                assert refused.status == 503
                assert "try again shortly" in await refused.text()
                second = await half.post("/_auth/verify", {"code": code, "csrf_token": token, "rd": "/"})
                assert second.status == 503
                assert (await half.get("/app")).status == 303
                ready = await outside.get("/_auth/readyz")
                assert ready.status == 503
                found = (await ready.json())["checks"]
                assert (found["store"], found["state"]) == ("ok", "unavailable")
                assert (await outside.get("/_auth/healthz")).status == 200
            finally:
                redis.start()
            await healed(rig)
            assert (await half.code(code)).status == 303, "the code outlived the restart"
            assert (await half.get("/app")).status == 200
            assert (await outside.password()).status == 303


async def test_no_code_is_sent_while_redis_is_away(tmp_path: Path, redis: Daemon) -> None:
    async with running_gateway(tmp_path, storage={"state_url": redis.url}) as rig, rig.browser() as half:
        await rig.add_user()
        await half.password()
        sent = len(rig.codes)
        redis.stop()
        try:
            assert (await half.get("/_auth/verify")).status == 503
            assert len(rig.codes) == sent
        finally:
            redis.start()


async def test_a_restart_with_an_append_only_file_forgets_neither_counts_nor_claims(redis: Daemon) -> None:
    async with opened(redis.url) as (link, ledger):
        assert await ledger.hit("restart", 600) == 1
        assert await ledger.claim_once("restart-step", 600)
        redis.stop()
        redis.start()
        assert await ledger.hit("restart", 600) == 2, "a stale connection is replaced without an error"
        assert not await ledger.claim_once("restart-step", 600)
        await link.ping()


async def test_a_redis_that_accepts_but_never_answers_does_not_hold_callers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gateway.stores.redis.connection.ANSWER_SECONDS", 0.5)
    monkeypatch.setattr("gateway.stores.redis.connection.CONNECT_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        async with opened(f"redis://127.0.0.1:{silent.getsockname()[1]}/0") as (_, ledger):
            async with asyncio.timeout(PATIENCE):
                outcomes = await asyncio.gather(
                    *(ledger.hit("k", 60) for _ in range(200)), return_exceptions=True
                )
            assert all(isinstance(outcome, StoreUnavailable) for outcome in outcomes)
            with pytest.raises(StoreUnavailable, match="tried again in a moment"):
                await ledger.hit("k", 60)


async def test_redis_frees_the_space_of_what_has_ended(redis: Daemon) -> None:
    async with opened(redis.url) as (link, ledger):
        await link.client.flushall()
        await ledger.put("a", b"x", 10)
        await ledger.hit("b", 10)
        await ledger.claim_once("c", 10)
        for key in await link.client.keys():
            assert 0 < await link.client.pttl(key) <= (10 + SLACK) * 1000


async def test_the_operator_is_warned_of_a_redis_that_forgets(
    redis: Daemon, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(redis.url) as (link, _):
        await link.warn_of_forgetting()
        assert caplog.messages == []
        await link.client.config_set("maxmemory-policy", "allkeys-lru")
        await link.client.config_set("appendonly", "no")
        try:
            await link.warn_of_forgetting()
        finally:
            await link.client.config_set("maxmemory-policy", "noeviction")
            await link.client.config_set("appendonly", "yes")
        assert [message.partition(":")[0] for message in caplog.messages] == [
            "Redis keeps no append-only file",
            "Redis may evict keys, and with them attempts and used codes",
        ]


async def test_a_redis_that_became_a_replica_is_an_outage_not_a_yes(redis: Daemon) -> None:
    async with opened(redis.url) as (link, ledger):
        await link.client.replicaof("127.0.0.1", "1")
        try:
            with pytest.raises(StoreUnavailable):
                await ledger.claim_once("failover", 60)
        finally:
            await link.client.replicaof("NO", "ONE")
        assert await ledger.claim_once("failover", 60)
