"""The pure rules about SMS: numbers and their ranges, prices, the pumping stop, what users see, what a call says."""

import phonenumbers
import pytest

from gateway.authn.factors.sms import message
from gateway.config.sections.sms_budgets import SmsPumping, SmsSpending
from gateway.errors import SendFailed
from gateway.messaging.addresses import check_number, country_of, range_of
from gateway.messaging.senders.twilio.bills import cost_of
from gateway.messaging.senders.twilio.build import is_public
from gateway.messaging.senders.twilio.status_callbacks import TwilioReports
from gateway.messaging.senders.twilio.voice import SENTENCES, TIMES, twiml
from gateway.messaging.sms.outlook import outlook
from gateway.messaging.sms.pumping import is_pumped
from gateway.messaging.sms.spending import Channel, price_of, show_money
from gateway.stores.protocols.sms import FINAL, SmsMessage
from tests.twilio_rules import sign


@pytest.mark.parametrize(
    ("phone", "range", "country"),
    [
        ("+4915112345678", "+49151123", "DE"),
        ("+12025550143", "+1202555", "US"),
        ("+14165550143", "+1416555", "CA"),  # the same calling code, another country
        ("+447400123456", "+44740012", "GB"),
        ("+29051234", "+2905", "SH"),
        ("+870773111632", "+87077311", "XX"),  # Inmarsat
    ],
)
def test_a_range_leaves_four_digits_free(phone: str, range: str, country: str) -> None:
    assert range_of(phone) == range
    assert len(phone) - len(range_of(phone)) >= 4
    assert country_of(phone) == country


def test_every_country_has_a_range_of_its_own_numbers() -> None:
    for region in phonenumbers.SUPPORTED_REGIONS:
        number = phonenumbers.example_number_for_type(region, phonenumbers.PhoneNumberType.MOBILE)
        if number is not None:
            phone = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
            assert phone.startswith(range_of(phone))
            assert len(phone) - len(range_of(phone)) >= 4


@pytest.mark.parametrize(
    ("phone", "allowed", "code"),
    [
        ("+4915112345678", ("US",), "country"),
        ("+14165550143", ("US",), "country"),
        ("+870773111632", ("US",), "country"),
        ("+499001234567", (), "number"),  # premium rate
        ("+19005550143", ("US",), "number"),
    ],
)
def test_countries_and_costly_numbers_are_refused(phone: str, allowed: tuple[str, ...], code: str) -> None:
    with pytest.raises(SendFailed) as refused:
        check_number(phone, allowed)
    assert refused.value.code == code
    assert refused.value.mend
    assert phone not in refused.value.detail + refused.value.mend


def test_allowed_countries_are_allowed_and_none_named_is_all() -> None:
    check_number("+4915112345678", ("US", "DE"))
    check_number("+4915112345678", ())


def test_the_longest_range_has_the_price_then_the_country_then_all() -> None:
    config = SmsSpending(
        price=0.2,
        prices={"DE": 0.08, "+4915": 0.09, "+49151": 0.1},
        voice_price=0.3,
        voice_prices={"US": 0.01},
    )
    assert price_of("+4915112345678", Channel.SMS, config) == 100_000
    assert price_of("+4915212345678", Channel.SMS, config) == 90_000
    assert price_of("+4917612345678", Channel.SMS, config) == 80_000
    assert price_of("+12025550143", Channel.SMS, config) == 200_000
    assert price_of("+12025550143", Channel.CALL, config) == 10_000
    assert price_of("+4915112345678", Channel.CALL, config) == 300_000
    assert show_money(12_345_678, "EUR") == "12.35 EUR"


@pytest.mark.parametrize(
    ("price", "micros"),
    [
        ("-0.00790", 7_900),
        ("0.05", 50_000),
        (None, None),
        ("", None),
        ("free", None),
        ("NaN", None),
        ("1e9", None),
    ],
)
def test_a_bill_is_read_as_twilio_writes_it(price: str | None, micros: int | None) -> None:
    cost = cost_of(price, "usd")
    assert (cost.micros if cost else None) == micros
    assert cost is None or cost.currency == "USD"


@pytest.mark.parametrize(
    ("sends", "verified", "pumped"),
    [(19, 0, False), (20, 0, True), (20, 1, True), (20, 2, False), (400, 39, True)],
)
def test_a_range_is_pumped_when_many_are_sent_and_few_come_back(
    sends: int, verified: int, pumped: bool
) -> None:
    assert is_pumped(sends, verified, SmsPumping()) is pumped
    assert not is_pumped(sends, verified, SmsPumping(conversion=0))


def a_message(**fields: object) -> SmsMessage:
    facts = {"channel": "sms", **fields}
    return SmsMessage(
        "m",
        "alice",
        "s",
        "+49•••••678",
        "n",
        "r",
        "DE",
        "twilio",
        micros=1,
        currency="USD",
        created_at=1.0,
        **facts,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    ("status", "stage", "state"),
    [
        ("pending", 0, "sending"),
        ("queued", 1, "sending"),
        ("unknown", 1, "sending"),
        ("sent", 3, "sent"),
        ("delivered", FINAL, "delivered"),
        ("completed", FINAL, "delivered"),
        ("undelivered", FINAL, "failed"),
        ("busy", FINAL, "failed"),
    ],
)
def test_users_see_how_far_the_newest_message_is(status: str, stage: int, state: str) -> None:
    newest = a_message(status=status, stage=stage)
    older = a_message(status="delivered", stage=FINAL)
    view = outlook([newest, older])
    assert (view.state, view.sends) == (state, 2)
    assert outlook([]).state == ""


@pytest.mark.parametrize("lang", [*SENTENCES, "tlh"])
def test_a_call_says_each_digit_slowly_and_again(lang: str) -> None:
    spoken = twiml("493817", lang)
    assert spoken.startswith("<?xml")
    assert spoken.count(">4. 9. 3. 8. 1. 7.<") == TIMES
    assert spoken.count("<Pause") > TIMES
    assert f'language="{SENTENCES.get(lang, SENTENCES["en"])[0]}"' in spoken


def test_the_signature_is_that_of_twilios_documentation() -> None:
    """https://www.twilio.com/docs/usage/webhooks/webhooks-security#validating-signatures-from-twilio"""
    url = "https://mycompany.com/myapp.php?foo=1&bar=2"
    fields = {
        "CallSid": "CA1234567890ABCDE",
        "Digits": "1234",
        "From": "+14158675309",
        "To": "+18005551212",
        "Caller": "+14158675309",
    }
    assert sign(url, fields, "12345") == "RSOYDt4T1cUTdK1PDd93/VVr8B8="


@pytest.mark.parametrize(
    ("given", "signed", "good"),
    [
        ("https://login.example.com/_auth/sms/status", "https://login.example.com/_auth/sms/status", True),
        (
            "https://login.example.com/_auth/sms/status",
            "https://login.example.com:443/_auth/sms/status",
            True,
        ),
        (
            "https://login.example.com:8443/_auth/sms/status",
            "https://login.example.com/_auth/sms/status",
            True,
        ),
        ("https://login.example.com/_auth/sms/status", "http://login.example.com/_auth/sms/status", False),
        ("https://login.example.com/_auth/sms/status", "https://evil.example/_auth/sms/status", False),
    ],
)
def test_the_public_address_counts_with_or_without_port(given: str, signed: str, good: bool) -> None:
    fields = {"MessageSid": "SM1", "MessageStatus": "delivered"}
    report = TwilioReports("secret", given).read(
        {"m": "abc"}, fields, sign(f"{signed}?m=abc", fields, "secret")
    )
    assert (report is not None) is good


@pytest.mark.parametrize(
    ("url", "public"),
    [
        ("https://login.example.com/x", True),
        ("https://203.0.113.7/x", False),  # documentation only
        ("https://8.8.8.8/x", True),
        ("http://localhost:8080/x", False),
        ("http://127.0.0.1/x", False),
        ("https://10.0.0.1/x", False),
        ("https://intranet/x", False),
        ("", False),
    ],
)
def test_twilio_is_asked_to_report_only_where_it_can(url: str, public: bool) -> None:
    assert is_public(url) is public


@pytest.mark.parametrize("host", ["login.example.com", "app.example.org", "xn--bcher-kva.example"])
def test_the_last_line_binds_the_code_to_the_host_of_the_page(host: str) -> None:
    """https://wicg.github.io/sms-one-time-codes: the last line is @host #code, without scheme and port."""
    lines = message("Harbour", "493817", host, "en").splitlines()
    assert lines[-1] == f"@{host} #493817"
    assert lines[-2] == ""
