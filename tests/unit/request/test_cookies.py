"""Finding a cookie of ours in a Cookie header."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.request.target import cookie_value

NAME = "auth_session"


def test_the_value_is_found_among_other_cookies() -> None:
    assert cookie_value("a=1; auth_session=xyz; b=2", NAME) == "xyz"
    assert cookie_value('auth_session="xyz"', NAME) == "xyz"
    assert cookie_value("a=1;auth_session=xyz", NAME) == "xyz"


def test_names_that_only_contain_ours_do_not_count() -> None:
    assert cookie_value("my_auth_session=no; auth_session2=no", NAME) == ""
    assert cookie_value("x=auth_session=no", NAME) == ""
    assert cookie_value("x=1, auth_session=no", NAME) == ""


def test_several_that_differ_are_none() -> None:
    assert cookie_value("auth_session=a; x=1; auth_session=b", NAME) == ""
    assert cookie_value("auth_session=a; auth_session=", NAME) == ""
    assert cookie_value('auth_session=a; auth_session_trail=b; auth_session="a"', NAME) == "a"


@given(st.text(max_size=80))
def test_any_header_gives_a_value_without_separators(header: str) -> None:
    assert ";" not in cookie_value(header, NAME)
