"""One gateway for all tests of this folder, as it runs for real. Each test attacks users of its own."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.databases import new_database
from tests.live_rig import Live, live
from tests.services import folder_for_all, postgres_server, redis_server

_HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """They share an event loop, and so a process."""
    for item in items:
        if _HERE in item.path.parents and pytest_asyncio.is_async_test(item):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)
            item.add_marker(pytest.mark.xdist_group("live"))


@pytest.fixture(scope="session")
def stores() -> Iterator[tuple[str, str]]:
    with postgres_server() as postgres, redis_server() as redis:
        yield postgres, redis.url


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def rig(stores: tuple[str, str]) -> AsyncIterator[Live]:
    postgres, redis = stores
    with folder_for_all() as folder:
        async with live(folder, await new_database(postgres, "live"), redis) as found:
            yield found
