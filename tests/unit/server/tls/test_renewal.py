"""When a certificate is renewed: the authority's window first, else a third of its life before its end."""

import pytest

from gateway.server.tls.acme.bundle import Bundle, new_key, self_signed
from gateway.server.tls.acme.renewal import RenewalState, is_overdue
from tests.acme_rig import DAY, HOST, bundle_for

NOW = 1_800_000_000.0
HOSTS = (HOST,)


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return bundle_for(HOSTS, NOW, 90 * DAY, new_key())


def test_without_a_word_of_the_authority_it_is_renewed_with_a_third_of_its_life_left(bundle: Bundle) -> None:
    state = RenewalState().looked(bundle, NOW, None, again=6 * 3600, draw=0.0)
    assert not state.must_order(bundle, HOSTS, NOW + 60 * DAY - 1)
    assert state.must_order(bundle, HOSTS, NOW + 60 * DAY)


def test_the_draw_makes_that_up_to_a_twentieth_earlier(bundle: Bundle) -> None:
    moments = [
        RenewalState().looked(bundle, NOW, None, again=60, draw=draw).renew_at(bundle)
        for draw in (0.0, 0.5, 0.999)
    ]
    assert moments == sorted(moments, reverse=True)
    assert moments[0] - moments[2] == pytest.approx(90 * DAY / 20, rel=0.01)


def test_a_short_life_is_renewed_by_its_own_measure() -> None:
    short = bundle_for(HOSTS, NOW, 6 * DAY, new_key())
    state = RenewalState().looked(short, NOW, None, again=60, draw=0.0)
    assert state.renew_at(short) == pytest.approx(NOW + 4 * DAY)
    assert not is_overdue(short, NOW + 4.9 * DAY)
    assert is_overdue(short, NOW + 5.1 * DAY)


def test_the_window_of_the_authority_counts_and_the_draw_says_where_in_it(bundle: Bundle) -> None:
    window = (NOW + 10 * DAY, NOW + 12 * DAY)
    state = RenewalState().looked(bundle, NOW, window, again=60, draw=0.25)
    assert state.renew_at(bundle) == NOW + 10.5 * DAY
    assert not state.must_order(bundle, HOSTS, NOW + 10.4 * DAY)
    assert state.must_order(bundle, HOSTS, NOW + 10.5 * DAY)


def test_a_window_that_is_over_renews_at_once(bundle: Bundle) -> None:
    state = RenewalState().looked(bundle, NOW, (NOW - 2 * DAY, NOW - DAY), again=60, draw=0.5)
    assert state.must_order(bundle, HOSTS, NOW)


def test_no_window_keeps_it_from_being_renewed_before_its_end(bundle: Bundle) -> None:
    state = RenewalState().looked(bundle, NOW, (NOW + 400 * DAY, NOW + 401 * DAY), again=60, draw=0.5)
    assert state.renew_at(bundle) == NOW + 81 * DAY


def test_the_draw_stays_while_the_certificate_does(bundle: Bundle) -> None:
    first = RenewalState().looked(bundle, NOW, None, again=60, draw=0.3)
    assert first.looked(bundle, NOW + 60, None, again=60, draw=0.9).draw == 0.3
    other = bundle_for(HOSTS, NOW, 90 * DAY, new_key())
    assert first.looked(other, NOW, None, again=60, draw=0.9).draw == 0.9


@pytest.mark.parametrize(("said", "kept"), [(0.0, 60.0), (1e9, DAY), (7200.0, 7200.0)])
def test_the_authority_is_asked_again_when_it_says_but_neither_all_the_time_nor_never(
    bundle: Bundle, said: float, kept: float
) -> None:
    state = RenewalState().looked(bundle, NOW, None, again=said, draw=0.5)
    assert not state.must_look(bundle, NOW + kept - 1)
    assert state.must_look(bundle, NOW + kept)


def test_nobody_asks_about_a_certificate_that_has_ended(bundle: Bundle) -> None:
    assert RenewalState().must_look(bundle, NOW)
    assert not RenewalState().must_look(bundle, bundle.not_after)
    assert not RenewalState().must_look(None, NOW)


def test_each_failure_waits_longer_and_at_most_six_hours() -> None:
    state, waits = RenewalState(), []
    for _ in range(7):
        state = state.failed(HOSTS, NOW, cause="", asked=None, draw=0.5)
        waits.append(state.retry_at - NOW)
    assert waits == [60, 600, 3600, 3 * 3600, 6 * 3600, 6 * 3600, 6 * 3600]


def test_what_the_authority_asks_is_kept_to_for_up_to_a_week() -> None:
    day = RenewalState().failed(HOSTS, NOW, cause="", asked=DAY, draw=0.5)
    assert not day.must_order(None, HOSTS, NOW + DAY - 1)
    assert day.must_order(None, HOSTS, NOW + DAY)
    year = RenewalState().failed(HOSTS, NOW, cause="", asked=365 * DAY, draw=0.5)
    assert year.retry_at == NOW + 7 * DAY


def test_other_hosts_are_tried_at_once_unless_the_authority_said_to_wait() -> None:
    others = (HOST, "other.example.test")
    failed = RenewalState().failed(HOSTS, NOW, cause="", asked=None, draw=0.5)
    assert not failed.must_order(None, HOSTS, NOW + 1)
    assert failed.must_order(None, others, NOW + 1)
    limited = RenewalState().failed(HOSTS, NOW, cause="", asked=3600.0, draw=0.5)
    assert not limited.must_order(None, others, NOW + 1)


def test_an_operator_can_ask_for_a_new_one_after_failures(bundle: Bundle) -> None:
    failed = RenewalState().failed(HOSTS, NOW, cause="", asked=DAY, draw=0.5)
    assert not failed.must_order(bundle, HOSTS, NOW + 1, wanted_at=NOW)
    assert failed.must_order(bundle, HOSTS, NOW + 2, wanted_at=NOW + 1)
    assert not RenewalState(ordered_at=NOW + 2).must_order(bundle, HOSTS, NOW + 3, wanted_at=NOW + 1)


def test_replicas_that_want_other_names_do_not_order_in_turn_without_a_pause(bundle: Bundle) -> None:
    state = RenewalState(ordered_at=NOW)
    assert not state.must_order(bundle, ("b.example.test",), NOW + 599)
    assert state.must_order(bundle, ("b.example.test",), NOW + 600)
    assert not state.must_order(bundle, HOSTS, NOW + 600)


def test_a_wildcard_is_for_one_label_and_no_wildcard_stands_for_another() -> None:
    wild = self_signed(["*.example.test", "example.test"], NOW)
    assert wild.is_for(["a.example.test", "example.test", "*.example.test"])
    assert not wild.is_for(["a.b.example.test"])
    assert not wild.is_for(["*.b.example.test"])


def test_a_state_survives_the_database_and_one_that_cannot_be_read_knows_nothing(bundle: Bundle) -> None:
    state = RenewalState().looked(bundle, NOW, (NOW, NOW + 1), again=60, draw=0.5)
    state = state.failed(HOSTS, NOW, cause="because", asked=None, draw=0.5)
    assert RenewalState.parse(state.dump()) == state
    for broken in (None, b"", b"{", b"[]", b'{"window": 5}', b'{"unknown": 1}', b'{"window": ["x", "y"]}'):
        assert RenewalState.parse(broken) == RenewalState()
