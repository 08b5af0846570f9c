"""Links of one browser, on a real ledger: what looking, taking and bringing them elsewhere gets."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.authn.bound_links import BoundLinks, FoundLink, LinkState
from gateway.stores.sql.engine import open_engine
from gateway.stores.sql.ledger import SqlLedger
from tests.databases import give_schema
from tests.rig import FakeClock

GONE = FoundLink(LinkState.GONE)


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[SqlLedger]:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    await give_schema(url)
    engine = open_engine(url)
    yield SqlLedger(engine, FakeClock())
    await engine.dispose()


async def test_a_link_is_good_in_its_browser_and_taken_once(ledger: SqlLedger) -> None:
    links = BoundLinks("test", ledger, lifetime=60.0)
    token = await links.issue("mine", {"rd": "/x"})
    assert await links.look(token, "mine") == FoundLink(LinkState.GOOD, {"rd": "/x"})
    for other in ("theirs", ""):
        assert await links.look(token, other) == FoundLink(LinkState.ELSEWHERE)
        assert await links.take(token, other) == FoundLink(LinkState.ELSEWHERE)
    taken = await asyncio.gather(*(links.take(token, "mine") for _ in range(4)))
    assert [one.state for one in taken].count(LinkState.GOOD) == 1
    assert await links.look(token, "mine") == GONE


async def test_a_link_is_for_one_purpose(ledger: SqlLedger) -> None:
    token = await BoundLinks("one", ledger, lifetime=60.0).issue("mine", {})
    assert await BoundLinks("two", ledger, lifetime=60.0).look(token, "mine") == GONE
    assert await BoundLinks("one", ledger, lifetime=60.0).look("guess\udc80", "mine") == GONE


async def test_a_link_that_an_earlier_version_made_is_over(ledger: SqlLedger) -> None:
    links = BoundLinks("test", ledger, lifetime=60.0)
    token = await links.issue("mine", {"rd": "/"})
    stored = await ledger.get(links.slot(token))
    assert stored is not None
    await ledger.put(links.slot(token), stored.replace(b'"about"', b'"person"'), 60.0)
    assert await links.look(token, "mine") == GONE
