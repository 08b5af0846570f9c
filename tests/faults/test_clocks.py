"""A replica whose clock is wrong (real processes under faketime, on a real PostgreSQL) harms nobody and says so."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from tests.faults.serving import Machine, Person, ready
from tests.integration.serving import Serving
from tests.services import missing


@pytest.fixture(scope="module")
def faketime() -> str:
    """The library itself: the command of that name stays between us and the gateway, and outlives neither alone."""
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    if not found:
        missing("faketime is not installed")
    return str(found[0])


@asynccontextmanager
async def two(
    folder: Path, database: str, app: str, faketime: str, shift: str
) -> AsyncIterator[tuple[Serving, Serving]]:
    """A replica with the right time, and one whose clock is shifted."""
    right = Machine(folder, {"url": database}, app, "right")
    await right.add_user()
    wrong = Machine(
        folder, {"url": database}, app, "wrong", environment={"LD_PRELOAD": faketime, "FAKETIME": shift}
    )
    async with right.serving() as one, wrong.serving() as other:
        yield one, other


async def sessions_of(database: str) -> list[float]:
    """When each session was last used."""
    connection = await asyncpg.connect(database)
    try:
        return [row["last_seen"] for row in await connection.fetch("SELECT last_seen FROM sessions")]
    finally:
        await connection.close()


async def test_a_clock_that_is_a_day_off_ends_no_session_lifts_no_lock_and_is_told(
    tmp_path: Path, database: str, app: str, faketime: str
) -> None:
    async with two(tmp_path, database, app, faketime, "+1d") as (right, wrong), Person() as alice:
        assert await alice.password(right) == 303
        before = await sessions_of(database)
        assert (await alice.ask(wrong))[0] == 200, "the session is as good there"
        assert (await alice.ask(right))[0] == 200, "and has ended nowhere"
        after = await sessions_of(database)
        assert len(after) == len(before) == 1
        assert abs(after[0] - before[0]) < 3600, "nor does it last longer"

        status, report = await ready(wrong)
        assert (status, report["checks"]["clock"]) == (503, "unavailable")
        assert (await ready(right))[0] == 200
        await wrong.said_until("this machine's clock is 86400 s")

        async with Person() as stranger:
            statuses = [await stranger.password(right, "wrong guess") for _ in range(12)]
            assert statuses[-1] == 429
            assert await stranger.password(wrong, "wrong guess") == 429, "the lock holds there too"
