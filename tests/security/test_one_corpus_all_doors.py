"""Every engine with our export is as strict as our own proxy: one corpus of requests goes through all of them.

What the app received and what the client got is compared request by request. Differences that are meant stand in
tests/data/engine_differences.yaml with their reason.
"""

import asyncio
from collections import Counter

import pytest

from tests.doors.compare import Meant, differences, meant
from tests.doors.corpus import corpus
from tests.doors.requests import Request
from tests.doors.run import INSIDE, OURS, Outcome, outcomes
from tests.integration.engines import ENGINES

REQUESTS = corpus()
DOORS = [
    pytest.param(name, marks=pytest.mark.xdist_group(f"doors-{name}"))
    for name in (*ENGINES, "caddy-2.11", INSIDE)
]


@pytest.fixture(scope="module", params=DOORS)
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def found(engine: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Outcome]]:
    return asyncio.run(outcomes(tmp_path_factory.mktemp("doors"), (engine,), REQUESTS))


def compared(engine: str, found: dict[str, list[Outcome]]) -> list[tuple[Request, str]]:
    doors = zip(REQUESTS, found[OURS], found[engine], strict=True)
    return [(request, what) for request, ours, theirs in doors for what in differences(ours, theirs)]


def covering(engine: str, request: Request, what: str) -> Meant | None:
    return next((row for row in meant() if row.covers(engine, request.kind, what)), None)


def test_the_corpus_is_large_and_its_requests_pass_and_fail(found: dict[str, list[Outcome]]) -> None:
    assert len(REQUESTS) >= 400
    reached = sum(bool(outcome.received) for outcome in found[OURS])
    assert 300 < reached < len(REQUESTS) - 100
    statuses = Counter(outcome.got.status for outcome in found[OURS])
    assert {101, 200, 204, 206, 302, 303, 304, 400, 401, 403, 404, 503} <= set(statuses)
    assert statuses[0] == 0


def test_nothing_differs_but_what_is_meant(engine: str, found: dict[str, list[Outcome]]) -> None:
    faults = [
        f"{what}: {request}"
        for request, what in compared(engine, found)
        if not covering(engine, request, what)
    ]
    assert not faults, "\n".join(faults[:40])


def test_every_row_of_the_table_is_needed(engine: str, found: dict[str, list[Outcome]]) -> None:
    if engine == "caddy-2.11":
        pytest.skip("a row for Caddy may be for 2.6 alone")
    seen = compared(engine, found)
    rows = [row for row in meant() if engine in row.engines]
    assert not [
        row for row in rows if not any(row.covers(engine, request.kind, what) for request, what in seen)
    ]


def test_no_app_hears_a_name_of_ours_from_a_client(engine: str, found: dict[str, list[Outcome]]) -> None:
    """Apart from any comparison: "root" is what clients claim to be, "stolen" what they hold."""
    for request, outcome in zip(REQUESTS, found[engine], strict=True):
        if request.kind == "spoofed identity" and "X-Who" not in dict(request.headers):
            for received in outcome.received:
                assert "root" not in [value for _, value in received.headers], request
        for received in outcome.received:
            assert not [
                value for name, value in received.headers if name == "cookie" and "stolen" in value
            ], request


def test_who_may_not_never_reaches_the_app(engine: str, found: dict[str, list[Outcome]]) -> None:
    for request, ours, theirs in zip(REQUESTS, found[OURS], found[engine], strict=True):
        if theirs.received and not ours.received:
            assert request.kind == "upgrade without a key", request
            assert not dict(theirs.received[0].headers).get("upgrade"), request
