"""Retry-After in both of its spellings."""

from email.utils import formatdate

import pytest

from gateway.messaging.senders.http_client import retry_after

NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("3", 3.0),
        ("0", 0.0),
        (" 120 ", 120.0),
        (formatdate(NOW + 90, usegmt=True), 90.0),
        (formatdate(NOW - 90, usegmt=True), 0.0),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("²", None),  # a digit to str.isdigit, but not to float
    ],
)
def test_retry_after_is_seconds_or_a_date_or_nothing(value: str, seconds: float | None):
    assert retry_after({"Retry-After": value}, now=lambda: NOW) == seconds


def test_without_the_header_nothing_was_asked():
    assert retry_after({}) is None
