"""Two replicas behind a real HAProxy on PostgreSQL and Redis, with parts killed under traffic."""

import asyncio
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.replicas_rig import Person, Replicas, running, settled, traffic
from tests.services import Daemon, postgres_daemon, redis_server
from tests.waiting import PATIENCE, until


@pytest.fixture
def postgres() -> Iterator[Daemon]:
    with postgres_daemon() as daemon:
        yield daemon


@pytest.fixture
def redis() -> Iterator[Daemon]:
    with redis_server() as daemon:
        yield daemon


async def test_no_get_is_lost_while_redis_and_postgresql_restart_and_a_replica_is_killed(
    tmp_path: Path, postgres: Daemon, redis: Daemon
) -> None:
    async with running(tmp_path, postgres, redis) as replicas, Person(replicas) as person:
        await person.sign_in()
        for serving in (replicas.a, replicas.b):
            assert (await person.ask("GET", "/quick", at=serving))[0] == 200
        async with traffic(person) as seen:
            await asyncio.to_thread(redis.stop)
            await asyncio.sleep(0.3)
            await asyncio.to_thread(redis.start)
            await asyncio.to_thread(postgres.stop)
            await asyncio.sleep(0.3)
            await asyncio.to_thread(postgres.start)
            await settled(replicas, replicas.a, replicas.b)
            os.kill(replicas.a.process.pid, signal.SIGKILL)
            await replicas.a.process.wait()
        assert set(seen) == {200}, seen
        async with Person(replicas) as other:
            await other.sign_in()
            assert (await other.ask("GET", "/quick"))[0] == 200


async def test_one_code_raced_over_both_replicas_is_accepted_once(
    tmp_path: Path, postgres: Daemon, redis: Daemon
) -> None:
    async with running(tmp_path, postgres, redis) as replicas:
        for _ in range(4):
            async with Person(replicas) as person:
                assert await person.password() == 303
                form = await person.code_form()
                # Four: a fifth wrong code ends a sign-in, also one whose right code is just being accepted.
                answers = await asyncio.gather(
                    *(person.ask("POST", "/_auth/verify", form, at=at) for at in (replicas.a, replicas.b) * 2)
                )
                assert 303 in {status for status, _ in answers}, answers
        await until(lambda: _logins(replicas) == 4, "one login for each code")


def _logins(replicas: Replicas) -> int:
    text = "".join((*replicas.a.output, *replicas.b.output))
    return len(re.findall(r'"event": ?"login"', text))


async def test_wrong_passwords_count_over_both_replicas_and_over_a_restart_of_redis(
    tmp_path: Path, postgres: Daemon, redis: Daemon
) -> None:
    async with running(tmp_path, postgres, redis) as replicas, Person(replicas) as person:
        for number in range(10):
            at = (replicas.a, replicas.b)[number % 2]
            assert await person.password("wrong password", at=at) == 401
        await asyncio.to_thread(redis.stop)
        assert await person.password(at=replicas.a) == 503
        await asyncio.to_thread(redis.start)
        await settled(replicas, replicas.a, replicas.b)
        for at in (replicas.a, replicas.b):
            assert await person.password(at=at) == 429


async def test_a_revocation_reaches_both_replicas(tmp_path: Path, postgres: Daemon, redis: Daemon) -> None:
    async with running(tmp_path, postgres, redis) as replicas, Person(replicas) as person:
        await person.sign_in()
        for serving in (replicas.a, replicas.b):
            assert (await person.ask("GET", "/quick", at=serving))[0] == 200
        await replicas.command("session", "revoke", "--user", "alice")
        for serving in (replicas.a, replicas.b):
            async with asyncio.timeout(PATIENCE):
                while (await person.ask("GET", "/quick", at=serving))[0] == 200:
                    await asyncio.sleep(0.05)
