"""Replicas on one database, with an authority of ours and a clock by hand."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.acme_rig import FakeAuthority, Replica, acme_section
from tests.rig import FakeClock

Make = Callable[..., Any]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def authority(clock: FakeClock) -> FakeAuthority:
    return FakeAuthority(clock)


@pytest.fixture
async def make(tmp_path: Path, clock: FakeClock, authority: FakeAuthority) -> AsyncIterator[Make]:
    made: list[Replica] = []

    async def one(name: str = "a", **given: Any) -> Replica:
        section = acme_section(tmp_path, **given)
        replica = Replica(tmp_path, name, section, authority=authority, clock=clock)
        made.append(replica)
        await replica.start()
        authority.records = replica.records
        return replica

    yield one
    for replica in made:
        await replica.close()
