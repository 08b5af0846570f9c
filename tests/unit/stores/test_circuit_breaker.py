"""The circuit breaker: fails fast while a server is away, probes with one call, closes when it is back."""

import asyncio
from contextlib import suppress

import pytest

from gateway.errors import StoreBusy, StoreUnavailable, UserUnknown
from gateway.stores.circuit_breaker import FIRST_PAUSE, LONGEST_PAUSE, Circuit
from tests.rig import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def circuit(clock: FakeClock) -> Circuit:
    return Circuit("Redis", clock)


def fail(circuit: Circuit) -> bool:
    """Whether the call was made before it failed."""
    made = False
    try:
        with circuit.call():
            made = True
            raise StoreUnavailable("down")
    except StoreUnavailable:
        return made


def succeed(circuit: Circuit) -> None:
    with circuit.call():
        pass


def test_one_failure_does_not_open_it(circuit: Circuit) -> None:
    fail(circuit)
    succeed(circuit)
    assert fail(circuit)
    succeed(circuit)


def test_open_it_makes_no_call_until_the_pause_is_over(circuit: Circuit, clock: FakeClock) -> None:
    assert [fail(circuit), fail(circuit), fail(circuit)] == [True, True, False]
    clock.advance(FIRST_PAUSE)
    succeed(circuit)
    succeed(circuit)


def test_pauses_double_up_to_a_bound_and_start_small_again(circuit: Circuit, clock: FakeClock) -> None:
    fail(circuit)
    fail(circuit)
    pause = FIRST_PAUSE
    for _ in range(10):
        clock.advance(pause)
        assert fail(circuit)
        pause = min(pause * 2, LONGEST_PAUSE)
        clock.advance(pause * 0.9)
        assert not fail(circuit)
        clock.advance(pause * 0.1 - pause)
        clock.advance(pause)
    clock.advance(pause)
    succeed(circuit)
    fail(circuit)
    fail(circuit)
    clock.advance(FIRST_PAUSE)
    succeed(circuit)


def test_only_one_call_probes_while_the_others_are_refused(circuit: Circuit, clock: FakeClock) -> None:
    fail(circuit)
    fail(circuit)
    clock.advance(FIRST_PAUSE)
    with circuit.call():
        assert not fail(circuit)
    succeed(circuit)


def test_an_error_that_shows_the_server_answers_closes_it(circuit: Circuit, clock: FakeClock) -> None:
    fail(circuit)
    fail(circuit)
    clock.advance(FIRST_PAUSE)
    with pytest.raises(UserUnknown), circuit.call():
        raise UserUnknown("bob")
    succeed(circuit)


def test_a_cancelled_probe_leaves_room_for_the_next(circuit: Circuit, clock: FakeClock) -> None:
    fail(circuit)
    fail(circuit)
    clock.advance(FIRST_PAUSE)
    with pytest.raises(asyncio.CancelledError), circuit.call():
        raise asyncio.CancelledError
    succeed(circuit)


def crowded(circuit: Circuit, callers: int, *, meanwhile: bool) -> None:
    """So many calls get no connection at once; another is answered while they wait, or none is."""
    with suppress(StoreBusy), circuit.call():
        if callers > 1:
            crowded(circuit, callers - 1, meanwhile=meanwhile)
        elif meanwhile:
            succeed(circuit)
        raise StoreBusy("no connection is free")


def test_a_crowd_is_no_outage_while_others_are_answered(circuit: Circuit) -> None:
    crowded(circuit, 10, meanwhile=True)
    succeed(circuit)


def test_a_server_that_answers_nobody_of_a_crowd_is_away(circuit: Circuit) -> None:
    crowded(circuit, 2, meanwhile=False)
    assert not fail(circuit)
