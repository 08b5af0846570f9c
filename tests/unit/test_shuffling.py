"""A shuffled run leaves no test out and can be repeated."""

from tests.shuffling import shuffled

TESTS = [f"{file}::{number}" for file in "abcdef" for number in range(6)]


def file_of(test: str) -> str:
    return test.partition("::")[0]


def test_a_seed_gives_one_order_of_all_tests_and_another_seed_another() -> None:
    first, again, other = (shuffled(TESTS, file_of, seed) for seed in (1, 1, 2))
    assert first == again != other
    assert sorted(first) == sorted(other) == TESTS
    assert first != TESTS


def test_the_tests_of_a_file_stay_together_in_another_order() -> None:
    files = [file_of(test) for test in shuffled(TESTS, file_of, 1)]
    together = [file for place, file in enumerate(files) if place == 0 or files[place - 1] != file]
    assert sorted(together) == sorted(set(files))
    assert together != sorted(together)
    assert [test for test in shuffled(TESTS, file_of, 1) if file_of(test) == "a"] != TESTS[:6]
