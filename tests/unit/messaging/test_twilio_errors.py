"""The table of Twilio's error codes, and what becomes of a code in it."""

import pytest

from gateway.errors import SendFailed
from gateway.messaging.senders.twilio.error_entry import COUNTRY, NETWORK, OPTED_OUT, Kind
from gateway.messaging.senders.twilio.errors import TWILIO_ERRORS, twilio_failure
from gateway.messaging.sms.failover import is_vendor_down

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
    # Registration of senders, carriers and Twilio's own failures
    *(30022, 30023, 30024, 30027, 30032, 30035, 30036, 30038, 30039, 30410, 30453, 30454, 30500),
    # Verify's channels; WhatsApp and RCS
    *(60212, 60223, 60238, 60242, 63003, 63014, 63016, 63024, 63036),
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
    "code", [20003, 20404, 21212, 21606, 21608, 21657, 21659, 21660, 21661, 572005, 30002, 63016, 63038]
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


@pytest.mark.parametrize("code", [30023, 30024, 30027, 30032, 30034, 30035, 30040, 30041])
def test_a_sender_that_is_not_registered_is_told_as_ours_to_mend(code: int):
    entry, failure = TWILIO_ERRORS[code], twilio_failure(400, code)
    assert entry.kind is Kind.ACCOUNT
    assert failure.public == NETWORK
    assert failure.next_channel


def test_who_answered_stop_reads_how_to_take_it_back_and_may_have_a_call():
    failure = twilio_failure(400, 21610)
    assert failure.public == OPTED_OUT
    assert (failure.next_channel, failure.next_number, failure.outage) == (True, True, False)


@pytest.mark.parametrize("code", [20003, 20429, 20503, 30001, 30002, 30500, 60728, 63038])
def test_what_stops_everybodys_codes_is_an_outage(code: int):
    assert twilio_failure(400, code).outage


@pytest.mark.parametrize(
    "code", [14107, 21610, 30003, 30007, 30008, 30022, 30450, 60202, 60203, 60410, 63018]
)
def test_what_concerns_one_number_or_one_carrier_is_no_outage(code: int):
    assert not twilio_failure(400, code).outage


@pytest.mark.parametrize("code", [20003, 20429, 21211, 30002, 30450, 60202, 60203, 60410])
def test_no_other_channel_is_tried_where_it_would_fail_as_well_or_help_a_fraud(code: int):
    assert not twilio_failure(400, code).next_channel


@pytest.mark.parametrize(
    ("status", "outage", "next_channel"),
    [(400, False, True), (401, False, False), (429, True, False), (503, True, True)],
)
def test_a_code_that_no_table_has_is_judged_by_its_status(status: int, outage: bool, next_channel: bool):
    failure = twilio_failure(status, 29999)
    assert (failure.outage, failure.next_channel) == (outage, next_channel)


@pytest.mark.parametrize("code", sorted(TWILIO_ERRORS))
def test_what_passes_by_itself_may_be_tried_again_and_what_the_operator_mends_may_not(code: int):
    entry = TWILIO_ERRORS[code]
    if entry.kind is Kind.TEMPORARY:
        assert entry.retryable
    if entry.kind is Kind.ACCOUNT:
        assert not entry.retryable
    if entry.kind in (Kind.NUMBER, Kind.CARRIER):
        assert entry.next_number
        assert not entry.outage


@pytest.mark.parametrize("code", sorted(TWILIO_ERRORS))
def test_a_second_vendor_takes_over_what_the_table_calls_an_outage_and_nothing_else(code: int):
    assert is_vendor_down(twilio_failure(400, code)) is TWILIO_ERRORS[code].outage
