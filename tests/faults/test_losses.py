"""Something is taken from under a running gateway: a line in the log names it, once."""

import asyncio
import logging
import os
from pathlib import Path

import pytest

from gateway.cli.doctor.symptoms import FAULTS
from gateway.observability import metrics
from gateway.server.losses import Losses, open_descriptors
from gateway.stores.redis.connection import RedisLink
from gateway.stores.sql.engine import open_engine
from tests.rig import running_gateway
from tests.services import redis_server


async def never() -> bool:
    return False


def faults() -> set[str]:
    """Which faults the metrics tell of."""
    (family,) = metrics.fault.collect()
    assert {sample.labels["fault"] for sample in family.samples} == set(FAULTS), "the doctor knows each"
    return {sample.labels["fault"] for sample in family.samples if sample.value}


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]


async def test_a_sqlite_file_that_is_deleted_or_replaced_is_named_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with running_gateway(tmp_path) as rig:
        losses = Losses(rig.gateway.stores.engine, never)
        await losses.look()
        assert errors(caplog) == []
        os.rename(tmp_path / "gateway.db", tmp_path / "away")
        await losses.look()
        await losses.look()
        (said,) = errors(caplog)
        assert faults() == {"database_file"}
        assert "gateway.db was deleted or replaced" in said
        (tmp_path / "gateway.db").write_bytes(b"")
        await losses.look()
        assert len(errors(caplog)) == 1, "another file of that name is not it"
        os.rename(tmp_path / "away", tmp_path / "gateway.db")
        await losses.look()
        assert faults() == set()
        os.remove(tmp_path / "gateway.db")
        await losses.look()
        assert len(errors(caplog)) == 2


async def test_a_flushed_redis_is_named(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    with redis_server() as redis:
        async with running_gateway(tmp_path, storage={"state_url": redis.url}) as rig:
            link = RedisLink(redis.url)
            losses = Losses(rig.gateway.stores.engine, link.forgot)
            await losses.look()
            await losses.look()
            assert errors(caplog) == []
            await link.client.flushall()
            before = metrics.redis_forgot._value.get()
            await asyncio.gather(*(losses.look() for _ in range(2)))
            assert [said[:26] for said in errors(caplog) if "Redis" in said] == ["Redis has forgotten what i"]
            assert metrics.redis_forgot._value.get() == before + 1
            await link.close()


async def test_descriptors_that_run_out_are_named_once_until_there_are_some_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    used = [10]
    engine = open_engine(f"sqlite:///{tmp_path}/gateway.db")
    losses = Losses(engine, never, lambda: (used[0], 100))
    for now in (89, 90, 95, 20, 99):
        used[0] = now
        await losses.look()
        assert faults() == ({"descriptors"} if now >= 90 else set())
    assert [said.partition(" of ")[0] for said in errors(caplog)] == ["90", "99"]
    await engine.dispose()


async def test_a_key_ring_that_can_not_be_read_is_counted_until_it_can(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig:
        stores = rig.gateway.stores
        losses = Losses(stores.engine, never, keys=stores.key_problem)
        await losses.look()
        assert faults() == set()
        os.rename(stores.keys_file, tmp_path / "away")
        await losses.look()
        assert faults() == {"key_ring"}
        os.rename(tmp_path / "away", stores.keys_file)
        await losses.look()
        assert faults() == set()


def test_open_descriptors_are_counted() -> None:
    before, limit = open_descriptors()
    with open("/dev/null") as _:
        assert open_descriptors() == (before + 1, limit)


async def test_a_gateway_looks_by_itself(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with running_gateway(tmp_path) as rig:
        works = rig.gateway._beside()
        names = [work.cr_code.co_qualname for work in works]  # type: ignore[attr-defined]
        for work in works:
            work.close()
        assert "Losses.watch" in names
