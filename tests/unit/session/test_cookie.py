"""Finding our cookie in a Cookie header."""

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from gateway.config.schema import Session
from gateway.session.cookie import PURPOSES, AuxiliaryCookie, cookie_flags, cookie_name, cookie_value

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


def test_the_prefix_makes_browsers_guard_the_cookie() -> None:
    assert cookie_name(NAME, secure=True) == "__Host-auth_session"
    assert cookie_name(NAME, secure=True, domain="example.com") == "__Secure-auth_session"
    assert cookie_name(NAME, secure=False) == "auth_session"


@given(st.text(max_size=80))
def test_any_header_gives_a_value_without_separators(header: str) -> None:
    assert ";" not in cookie_value(header, NAME)


@pytest.mark.parametrize("purpose", PURPOSES)
@pytest.mark.parametrize("secure", [True, False])
def test_no_script_reads_a_cookie_of_ours(purpose: str, secure: bool) -> None:
    cookie = AuxiliaryCookie.of(Session(), purpose, secure=secure)
    for change in (lambda response: cookie.give(response, "v", 60.0), cookie.drop):
        response = web.Response()
        change(response)
        [morsel] = response.cookies.values()
        assert morsel["httponly"] is True
        assert (morsel["samesite"], morsel["path"], morsel["domain"]) == ("Lax", "/", "")
        assert bool(morsel["secure"]) is secure
    assert cookie_flags(secure=secure)["httponly"] is True
