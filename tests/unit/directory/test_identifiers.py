"""What usernames, groups, phone numbers and addresses may look like."""

import pytest

from gateway.config.names import checked_user_name
from gateway.directory import identifiers
from gateway.errors import InvalidUser
from gateway.model import User


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("Alice", "alice"),
        ("\uff21LICE", "alice"),
        ("Straße", "strasse"),
        ("a@b.example", "a@b.example"),
        ("x" * 128, "x" * 128),
        ("Anna\u00a0 Maria", "anna maria"),
    ],
)
def test_usernames_have_one_spelling(typed: str, stored: str) -> None:
    assert checked_user_name(typed) == stored
    assert checked_user_name(stored) == stored


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "x" * 129,
        "a:b",
        "a,b",
        "a\tb",
        "a\nb",
        "a\r",
        "a\0",
        "a\u200bb",
        "a\u202eb",
        "\ud800",
        "a\u2028",
    ],
)
def test_usernames_that_would_break_headers_or_files_are_refused(typed: str) -> None:
    with pytest.raises(InvalidUser):
        checked_user_name(typed)


def test_new_users_get_no_name_with_a_blank() -> None:
    """Directories elsewhere have such names; files and shells read them as two words."""
    with pytest.raises(InvalidUser, match="blank"):
        identifiers.new_username("a b")


@pytest.mark.parametrize("typed", ["", "  ", "a,b", "a\nb", "x" * 129, "a\u200b"])
def test_groups_that_would_break_the_header_are_refused(typed: str) -> None:
    with pytest.raises(InvalidUser):
        identifiers.group(typed)


def test_groups_may_have_a_comma_as_directories_elsewhere_have_them() -> None:
    assert identifiers.group_elsewhere("Sales, EMEA") == "Sales, EMEA"
    with pytest.raises(InvalidUser):
        identifiers.group("Sales, EMEA")


@pytest.mark.parametrize(
    "typed", ["0151 12345678", "0049 151 12345678", "+49 151 12345678", "(0151) 1234-5678"]
)
def test_phone_numbers_without_country_code_are_of_the_default_country(typed: str) -> None:
    assert identifiers.phone(typed, country="DE") == "+4915112345678"


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("+49 151 12345678", "+4915112345678"),
        ("0049 151 12345678", "+4915112345678"),
        (" 00 1 202 555 0123", "+12025550123"),
        ("+1 (202) 555-0123", "+12025550123"),
        ("", ""),
        (" ", ""),
    ],
)
def test_phone_numbers_are_stored_as_e164(typed: str, stored: str) -> None:
    assert identifiers.phone(typed) == stored


@pytest.mark.parametrize(
    ("typed", "country"),
    [
        ("0049 151 12345678", "US"),  # who dials 011 abroad
        ("011 49 151 12345678", "US"),
        ("0011 49 151 12345678", "AU"),
        ("0049 151 12345678", "AU"),
        ("00700 49 151 12345678", "KR"),
        ("010 49 151 12345678", "JP"),
    ],
)
def test_dialling_abroad_is_read_as_in_the_default_country_and_as_nearly_everywhere(
    typed: str, country: str
) -> None:
    assert identifiers.phone(typed, country=country) == "+4915112345678"


@pytest.mark.parametrize(
    "typed",
    [
        "0151 12345678",
        "+49",
        "hello",
        "+0123456789",
        "+1555",
        "+123456789012345678",
        "00",
        "000 151 12345678",
    ],
)
def test_other_phone_numbers_are_refused(typed: str) -> None:
    with pytest.raises(InvalidUser, match="phone number"):
        identifiers.phone(typed)


@pytest.mark.parametrize("typed", ["alice", "a@b@c", "a b@c", "a@b\r\nBcc: x@y", "a,b@c", "<a@b>"])
def test_other_addresses_are_refused(typed: str) -> None:
    with pytest.raises(InvalidUser, match="e-mail"):
        identifiers.email(typed)


def test_a_checked_user_is_canonical_in_every_field() -> None:
    typed = User(
        "Alice",
        name=" Alice ",
        email=" a@b.example ",
        phone="+49 151 12345678",
        groups=("ops", " ops ", "dev"),
    )
    assert identifiers.checked(typed) == User(
        "alice", name="Alice", email="a@b.example", phone="+4915112345678", groups=("ops", "dev")
    )


def test_names_of_people_may_need_invisible_characters_but_no_line_breaks() -> None:
    persian = "علی\u200cرضا"
    assert identifiers.checked(User("ali", name=persian)).name == persian
    with pytest.raises(InvalidUser):
        identifiers.checked(User("ali", name="Ali\r\nRemote-Groups: admin"))
