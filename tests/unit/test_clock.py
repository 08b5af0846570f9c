"""Twin of gateway/clock.py: whose time counts when this machine's clock and the database's differ."""

from gateway.clock import TOLERANCE, SharedClock


class Hands:
    """A machine's two clocks, moved by hand."""

    def __init__(self) -> None:
        self.wall, self.steady = 1000.0, 5.0

    def pass_by(self, seconds: float) -> None:
        self.wall += seconds
        self.steady += seconds

    def clock(self) -> SharedClock:
        return SharedClock(lambda: self.wall, lambda: self.steady)


def test_before_they_are_compared_this_machines_clock_counts() -> None:
    hands = Hands()
    clock = hands.clock()
    assert (clock(), clock.ahead, clock.astray) == (1000.0, 0.0, False)


def test_a_small_difference_is_put_up_with() -> None:
    for difference in (TOLERANCE, -TOLERANCE):
        hands = Hands()
        clock = hands.clock()
        clock.compare(1000.0 - difference, 5.0, 5.0)
        assert (clock(), clock.ahead, clock.astray) == (1000.0, difference, False)


def test_beyond_that_the_databases_time_counts_in_both_directions() -> None:
    for database in (1000.0 + TOLERANCE + 1, 1000.0 - TOLERANCE - 1, 0.0, 1e9):
        hands = Hands()
        clock = hands.clock()
        clock.compare(database, 4.0, 6.0)
        assert clock() == database
        assert clock.astray
        hands.pass_by(60.0)
        assert clock() == database + 60.0


def test_a_clock_that_is_set_wrong_later_is_noticed_at_once_and_one_that_is_mended_too() -> None:
    hands = Hands()
    clock = hands.clock()
    clock.compare(1000.0, 5.0, 5.0)
    hands.wall += 86400.0
    assert clock.astray
    assert clock() == 1000.0
    hands.wall -= 86400.0
    assert not clock.astray


def test_the_answers_way_is_not_taken_for_a_difference() -> None:
    hands = Hands()
    clock = hands.clock()
    clock.compare(1000.0, 5.0, 65.0)  # the database's clock was read about half way
    hands.steady = 65.0
    hands.wall = 1030.0
    assert clock.ahead == 0.0
