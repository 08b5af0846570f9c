"""Real stores and a small app for tests that break something."""

import itertools
from collections.abc import AsyncIterator, Iterator

import pytest

from tests.databases import new_database
from tests.integration.serving import upstream
from tests.services import postgres_server, redis_server

_numbers = itertools.count()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tests that take minutes run with `make faults`."""
    if not config.getoption("--run-long"):
        for item in items:
            if item.get_closest_marker("long"):
                item.add_marker(pytest.mark.skip(reason="takes minutes: make faults"))


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    with postgres_server() as url:
        yield url


@pytest.fixture(scope="module")
def redis() -> Iterator[str]:
    with redis_server() as server:
        yield server.url


@pytest.fixture
async def app() -> AsyncIterator[str]:
    async with upstream() as url:
        yield url


@pytest.fixture
async def database(postgres: str) -> str:
    """A new PostgreSQL database with tables and without rows."""
    return await new_database(postgres, f"faults{next(_numbers)}")
