"""The contract of Credentials, on every database."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.errors import StoreUnavailable
from gateway.keyring import KeyRing
from gateway.stores.protocols.core import Credential
from gateway.stores.sql import schema
from gateway.stores.sql.credentials import SqlCredentials
from gateway.stores.sql.engine import open_engine
from gateway.stores.sql.transactions import reading
from tests.contract import race
from tests.contract.conftest import FakeClock


@pytest.fixture
def credentials(engine: AsyncEngine, ring: KeyRing) -> SqlCredentials:
    return SqlCredentials(engine, ring.seal, ring.open)


def totp(id: str = "t1", username: str = "alice") -> Credential:
    return Credential(id, username, "totp", "Phone", b"JBSWY3DPEHPK3PXP", created_at=1000.0)


async def test_a_credential_comes_back_as_it_was_added(credentials: SqlCredentials) -> None:
    await credentials.add(totp())
    assert await credentials.get("t1") == totp()
    assert await credentials.get("t2") is None


async def test_list_is_of_one_user_and_kind(credentials: SqlCredentials) -> None:
    passkey = replace(totp("w1"), kind="webauthn", created_at=2000.0)
    for one in (passkey, totp(), totp("t9", "bob")):
        await credentials.add(one)
    assert await credentials.list("alice") == [totp(), passkey]
    assert await credentials.list("alice", "webauthn") == [passkey]


async def test_the_database_never_holds_the_secret_itself(
    credentials: SqlCredentials, engine: AsyncEngine
) -> None:
    await credentials.add(totp())
    async with reading(engine) as connection:
        stored = await connection.scalar(select(schema.credentials.c.secret))
    assert stored
    assert totp().secret not in stored


async def test_only_the_owner_renames_and_removes(credentials: SqlCredentials) -> None:
    await credentials.add(totp())
    assert not await credentials.rename("bob", "t1", "Mine")
    assert not await credentials.remove("bob", "t1")
    assert await credentials.rename("alice", "t1", "New phone")
    renamed = await credentials.get("t1")
    assert renamed is not None
    assert renamed.name == "New phone"
    assert await credentials.remove("alice", "t1")
    assert not await credentials.remove("alice", "t1")


async def test_the_counter_only_advances(credentials: SqlCredentials) -> None:
    await credentials.add(totp())
    assert await credentials.advance("t1", 100, 1500.0)
    assert not await credentials.advance("t1", 100, 1501.0)
    assert not await credentials.advance("t1", 99, 1501.0)
    assert await credentials.get("t1") == replace(totp(), counter=100, last_used_at=1500.0)
    assert not await credentials.advance("missing", 1, 1.0)


def test_processes_racing_to_advance_have_one_winner(url: str, tmp_path: Path, ring: KeyRing) -> None:
    async def fill() -> None:
        engine = open_engine(url)
        await SqlCredentials(engine, ring.seal, ring.open).add(totp())
        await engine.dispose()

    async def advance(engine: AsyncEngine, round: int) -> bool:
        return await SqlCredentials(engine, ring.seal, ring.open).advance("t1", round + 1, 1.0)

    asyncio.run(fill())
    assert set(race.winners(url, advance).values()) == {1}


def test_processes_racing_to_consume_a_recovery_code_have_one_winner(url: str, ring: KeyRing) -> None:
    async def fill() -> None:
        engine = open_engine(url)
        for round in range(race.ROUNDS):
            await SqlCredentials(engine, ring.seal, ring.open).add(totp(f"r{round}"))
        await engine.dispose()

    async def consume(engine: AsyncEngine, round: int) -> bool:
        return await SqlCredentials(engine, ring.seal, ring.open).remove("alice", f"r{round}")

    asyncio.run(fill())
    assert set(race.winners(url, consume).values()) == {1}


async def test_resealed_credentials_survive_any_number_of_rotations(
    credentials: SqlCredentials, ring: KeyRing, clock: FakeClock
) -> None:
    await credentials.add(totp())
    for _ in range(5):
        assert await credentials.reseal() == 1
        clock.advance(10)
        ring.rotate(clock(), keep=2)
    assert await credentials.get("t1") == totp()


async def test_a_factor_that_another_replica_has_sealed_with_a_newer_key_is_read_at_once(
    engine: AsyncEngine, credentials: SqlCredentials, ring: KeyRing, clock: FakeClock
) -> None:
    """Each looks at the file once a second; between a rotation and that, sign-ins were 503."""
    other = KeyRing(ring._path, clock)
    for _ in range(3):
        other.rotate(clock())
        assert await SqlCredentials(engine, other.seal, other.open).reseal() in (0, 1)
        if await credentials.get("t1") is None:
            await SqlCredentials(engine, other.seal, other.open).add(totp())
        assert await credentials.get("t1") == totp()


async def test_a_credential_that_no_key_opens_is_an_error_and_never_left_out(
    credentials: SqlCredentials, ring: KeyRing, clock: FakeClock
) -> None:
    await credentials.add(totp())
    for _ in range(2):
        ring.rotate(clock(), keep=2)
    with pytest.raises(StoreUnavailable, match=r"session\.keys_file"):
        await credentials.list("alice")
