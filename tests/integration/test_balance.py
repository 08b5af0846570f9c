"""Sharing the load: by weights, or each user to one upstream, on both paths of the proxy; failover as ever."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from gateway.config.loader import read_text
from gateway.errors import ConfigError
from gateway.proxy.load_balancing import ranking, turns
from tests.proxy_rig import serving
from tests.rig import running_gateway

URLS = ["http://a", "http://b", "http://c"]
weights = st.lists(st.integers(1, 9), min_size=1, max_size=5)


@given(weights)
def test_in_one_round_each_has_its_weight_and_nobody_waits_long(given_weights: list[int]) -> None:
    round_ = turns(given_weights)
    assert Counter(round_) == Counter(dict(enumerate(given_weights)))
    assert len(turns([1] * len(given_weights))) == len(given_weights)


def test_turns_are_spread() -> None:
    assert turns([5, 1, 1]) == (0, 0, 1, 0, 2, 0, 0)
    assert turns([1, 1, 1]) == (0, 1, 2)


@given(st.text(max_size=8))
def test_when_an_upstream_goes_only_its_own_users_move(who: str) -> None:
    before = [URLS[number] for number in ranking(who, URLS, [1, 1, 1])]
    after = [URLS[:2][number] for number in ranking(who, URLS[:2], [1, 1])]
    assert after == [url for url in before if url != URLS[2]]


def test_users_are_shared_by_weight() -> None:
    counts = Counter(ranking(f"user {number}", URLS, [6, 3, 1])[0] for number in range(2000))
    assert [round(counts[number] / 200) for number in range(3)] == [6, 3, 1]


@asynccontextmanager
async def two_apps() -> AsyncIterator[list[str]]:
    """Each answers with its own name."""
    async with AsyncExitStack() as stack:
        urls = []
        for name in ("one", "two"):

            async def app(request: web.BaseRequest, name: str = name) -> web.Response:
                return web.Response(text=name)

            urls.append(await stack.enter_async_context(serving(app)))
        yield urls


def settings(urls: list[str], *, fast_path: bool, **route: Any) -> dict[str, Any]:
    trusted = {"trusted_proxies": ["127.0.0.1/32"], "fast_path": fast_path}
    return {"server": trusted, "routes": [{"upstream": urls, "policy": {"require": "bypass"}, **route}]}


@pytest.mark.parametrize("fast_path", [True, False])
async def test_weights_count(tmp_path: Path, fast_path: bool) -> None:
    async with two_apps() as urls:
        made = settings(urls, fast_path=fast_path, weights=[3, 1])
        async with running_gateway(tmp_path, **made) as rig, rig.browser() as browser:
            answers = Counter([await (await browser.get("/")).text() for _ in range(8)])
    assert answers == {"one": 6, "two": 2}


@pytest.mark.parametrize("fast_path", [True, False])
async def test_each_caller_stays_with_one_upstream(tmp_path: Path, fast_path: bool) -> None:
    async with two_apps() as urls:
        made = settings(urls, fast_path=fast_path, balance="sticky")
        async with running_gateway(tmp_path, **made) as rig, rig.browser() as browser:
            seen: dict[str, set[str]] = {}
            for _ in range(2):
                for number in range(12):
                    response = await browser.get("/", **{"X-Forwarded-For": f"192.0.2.{number}"})
                    seen.setdefault(f"192.0.2.{number}", set()).add(await response.text())
            await rig.add_user("alice")
            await browser.password()
            signed_in = {
                await (await browser.get("/", **{"X-Forwarded-For": f"192.0.2.{number}"})).text()
                for number in range(12)
            }
    assert {len(names) for names in (*seen.values(), signed_in)} == {1}
    assert set().union(*seen.values()) == {"one", "two"}


async def test_whoever_is_stuck_to_one_that_is_down_is_served_by_another(tmp_path: Path) -> None:
    async with two_apps() as (one, _):
        made = settings([one, "http://127.0.0.1:1"], fast_path=True, balance="sticky")
        async with running_gateway(tmp_path, **made) as rig, rig.browser() as browser:
            for number in range(6):
                response = await browser.get("/", **{"X-Forwarded-For": f"192.0.2.{number}"})
                assert await response.text() == "one"


@pytest.mark.parametrize(
    ("route", "problem"),
    [
        (
            "{upstream: ['http://127.0.0.1:1', 'http://127.0.0.1:2'], weights: [1]}",
            "has 1 numbers for 2 upstreams",
        ),
        ("{upstream: 'http://127.0.0.1:1', balance: sticky}", "balance: has no effect with one upstream"),
        ("{upstream: 'http://127.0.0.1:1', weights: [2]}", "weights: has no effect with one upstream"),
        ("{upstream: ['http://127.0.0.1:1', 'http://127.0.0.1:2'], weights: [0, 1]}", "routes[0].weights[0]"),
    ],
)
def test_mistakes_are_named(route: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_text(f"routes:\n  - {route}\n", "config.yaml", {})
    assert problem in str(caught.value)
