"""What counts as unusual, and what follows: pure decisions."""

from ipaddress import ip_address

import pytest

from gateway.authn.risk.assessment import (
    Signal,
    action_for,
    device_of,
    kilometres,
    network_of,
    signals,
    to_notify,
)
from gateway.config.schema import Risk
from gateway.stores.protocols.core import Place

BERLIN, TOKYO, POTSDAM = (52.52, 13.40), (35.68, 139.69), (52.40, 13.07)
HOUR = 3600.0


def place(
    network: str = "203.0.113.0/24",
    device: str = "laptop",
    country: str = "DE",
    at: tuple[float, float] | None = BERLIN,
    seen_at: float = 0.0,
) -> Place:
    latitude, longitude = at or (None, None)
    return Place(network, device, country, latitude, longitude, seen_at)


def names(here: Place, *past: Place, speed: float = 900.0) -> set[str]:
    return {signal.name for signal in signals(here, past, speed)}


def test_a_first_sign_in_differs_from_nothing() -> None:
    assert names(place()) == set()


def test_the_same_place_again_is_usual() -> None:
    assert names(place(seen_at=HOUR), place()) == set()


def test_each_difference_is_a_signal_of_its_own() -> None:
    assert names(place(network="198.51.100.0/24"), place()) == {"new_network"}
    assert names(place(device="phone"), place()) == {"new_device"}
    assert names(place(country="FR"), place()) == {"new_country"}


def test_any_place_of_the_past_makes_it_usual_not_only_the_last() -> None:
    past = (place(device="phone", network="198.51.100.0/24", country="FR"), place())
    assert names(place(), *past) == set()


def test_an_unknown_country_is_no_new_one_and_knows_no_distance() -> None:
    assert names(place(country="", at=None), place()) == set()
    assert names(place(), place(country="", at=None)) == set()


@pytest.mark.parametrize(("hours", "found"), [(1, True), (9, True), (10.5, False), (24, False)])
def test_tokyo_is_ten_hours_from_berlin_at_best(hours: float, found: bool) -> None:
    here = place(at=TOKYO, seen_at=hours * HOUR)
    assert ("impossible_travel" in names(here, place())) is found


def test_faster_travel_can_be_allowed() -> None:
    assert names(place(at=TOKYO, seen_at=HOUR), place(), speed=10_000) == set()


def test_nobody_travels_impossibly_between_neighbouring_towns() -> None:
    assert names(place(at=POTSDAM, seen_at=1), place()) == set()


def test_travel_is_measured_from_the_newest_place_that_is_known() -> None:
    newest, older = place(at=None, country="", seen_at=5 * HOUR), place(at=TOKYO, country="DE", seen_at=HOUR)
    assert "impossible_travel" in names(place(seen_at=6 * HOUR), newest, older)


def test_a_clock_that_stands_still_divides_by_nothing() -> None:
    assert "impossible_travel" in names(place(at=TOKYO, seen_at=0), place(seen_at=0))


def test_distances_on_the_globe() -> None:
    assert kilometres(place(at=BERLIN), place(at=TOKYO)) == pytest.approx(8918, abs=30)
    assert kilometres(place(at=(0, 179.5)), place(at=(0, -179.5))) == pytest.approx(111, abs=1)
    assert kilometres(place(at=(0, 0)), place(at=(0, 180))) == pytest.approx(20015, abs=2)


def test_the_severest_action_counts() -> None:
    config = Risk(new_network="allow", new_device="notify", new_country="step_up", impossible_travel="deny")
    found = [Signal(name, {}) for name in ("new_network", "new_device", "new_country", "impossible_travel")]
    answers = [action_for(found[: count + 1], config) for count in range(4)]
    assert answers == ["allow", "notify", "step_up", "deny"]
    assert action_for([], config) == "allow"


def test_the_user_hears_of_whatever_is_not_simply_allowed() -> None:
    config = Risk(new_network="allow", new_device="notify")
    assert not to_notify([Signal("new_network", {})], config)
    assert to_notify([Signal("new_network", {}), Signal("new_device", {})], config)


def test_networks_are_what_one_connection_moves_within() -> None:
    assert network_of(ip_address("203.0.113.77")) == "203.0.113.0/24"
    assert network_of(ip_address("2001:db8:1:2::3")) == "2001:db8:1::/48"


def test_an_update_of_the_browser_is_no_new_device() -> None:
    old = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
    assert device_of(old) == device_of(old.replace("128.0", "131.0.2"))
    assert device_of(old) != device_of("Mozilla/5.0 (iPhone; CPU iPhone OS 17_5) Safari/604.1")
