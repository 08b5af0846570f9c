import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config.units import parse_duration, parse_size, show_duration, show_size

NONSENSE = [
    "",
    "h",
    "1",
    "1y",
    "-5m",
    "1h 30m",
    "5 m",
    "1e3s",
    "inf",
    "nan",
    "٣s",
    True,
    None,
    [],
    -1,
    math.inf,
    math.nan,
]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("5m", 300), ("1h30m", 5400), ("30d", 2592000), ("250ms", 0.25), ("0s", 0), (7, 7)],
)
def test_durations_read_as_people_write_them(text: object, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("value", NONSENSE)
def test_nonsense_is_no_duration(value: object) -> None:
    with pytest.raises(ValueError):
        parse_duration(value)


@pytest.mark.parametrize(
    ("text", "size"),
    [("64KiB", 65536), ("10MB", 10**7), ("1.5 GiB", 3 * 2**29), ("unlimited", 0), (512, 512), ("5", 5)],
)
def test_sizes_read_as_people_write_them(text: object, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("value", ["", "MB", "1TB2", "-1MB", "1kib", True, None, -1, 1.5, "9" * 400, 10**30])
def test_nonsense_is_no_size(value: object) -> None:
    with pytest.raises(ValueError):
        parse_size(value)


@given(st.integers(0, 10**12))
def test_a_shown_duration_reads_back(milliseconds: int) -> None:
    seconds = parse_duration(show_duration(milliseconds / 1000))
    assert isinstance(seconds, float)
    assert round(seconds * 1000) == milliseconds


@given(st.integers(0, 10**15))
def test_a_shown_size_reads_back(size: int) -> None:
    assert parse_size(show_size(size)) == size


@given(st.text() | st.floats() | st.integers() | st.booleans())
def test_any_value_is_a_finite_amount_or_refused(value: object) -> None:
    for parse in (parse_duration, parse_size):
        try:
            amount = parse(value)
        except ValueError:
            continue
        assert isinstance(amount, (int, float))
        assert 0 <= amount < math.inf
