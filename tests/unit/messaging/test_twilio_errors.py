"""The table of Twilio's error codes, and what becomes of a code in it."""

import pytest

from gateway.errors import SendFailed
from gateway.messaging.senders.twilio.errors import COUNTRY, TWILIO_ERRORS, twilio_failure

PROMISED = {
    *(
        14107,
        20003,
        20404,
        20429,
        21211,
        21212,
        21214,
        21408,
        21602,
        21606,
        21608,
        21610,
        21611,
        21612,
        21614,
    ),
    # More exact than 21211, 21212, 21606 and 21614 since July 2024; the last two are the trial's since 2026.
    *(21265, 21266, 21607, 21635, 21657, 21659, 21660, 21661, 572002, 572005),
    *(21617, *range(30001, 30009), 30034, 30450, 60200, 60202, 60203, 60205, 60220, 60410, 63038),
}


def test_every_promised_code_is_explained():
    assert set(TWILIO_ERRORS) >= PROMISED


@pytest.mark.parametrize("code", sorted(TWILIO_ERRORS))
def test_each_entry_says_what_happened_and_what_to_do(code: int):
    entry = TWILIO_ERRORS[code]
    assert len(entry.what) > 10
    assert len(entry.mend) > 10
    assert not entry.mend.endswith(".")


@pytest.mark.parametrize(
    "code", [21211, 21214, 21265, 21266, 21610, 21612, 21614, 21635, 30003, 30005, 30006, 60205]
)
def test_a_failure_of_the_users_number_tells_the_user_more_than_try_later(code: int):
    assert TWILIO_ERRORS[code].bad_number
    assert twilio_failure(400, code).public != SendFailed.public


@pytest.mark.parametrize(
    "code", [20003, 20404, 21212, 21606, 21608, 21657, 21659, 21660, 21661, 572005, 30002, 30034, 63038]
)
def test_a_failure_of_the_operators_making_tells_the_user_nothing(code: int):
    assert not TWILIO_ERRORS[code].bad_number
    assert twilio_failure(400, code).public == SendFailed.public


@pytest.mark.parametrize("code", [14107, 20429, 21611, 30001, 30003, 30450, 60202, 60203, 60410, 63038])
def test_limits_and_blocks_pass_with_time(code: int):
    assert twilio_failure(429, code).retryable


@pytest.mark.parametrize(
    "code", [20003, 20404, 21211, 21408, 21606, 21608, 21610, 21614, 30002, 30007, 60220]
)
def test_what_a_person_has_to_mend_is_not_retryable(code: int):
    assert not twilio_failure(400, code).retryable


def test_an_unknown_code_points_to_twilios_dictionary():
    failure = twilio_failure(400, 29999)
    assert (failure.code, failure.retryable) == ("29999", False)
    assert failure.mend.endswith("/docs/api/errors/29999")


@pytest.mark.parametrize(
    ("status", "retryable"), [(400, False), (403, False), (429, True), (500, True), (503, True)]
)
def test_an_answer_without_a_code_is_judged_by_its_status(status: int, retryable: bool):
    for code in (None, status):
        failure = twilio_failure(status, code)
        assert (failure.code, failure.retryable) == (str(status), retryable)


def test_a_blocked_country_is_the_operators_to_mend_but_the_user_learns_to_go_another_way():
    failure = twilio_failure(400, 21408)
    assert "Geo Permissions" in failure.mend
    assert failure.public == COUNTRY
