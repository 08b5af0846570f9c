"""Our cookies: their names, their flags, and what opens."""

import json

import pytest
from aiohttp import web
from cryptography.fernet import Fernet, MultiFernet

from gateway.config.schema import Session
from gateway.session.cookie import PURPOSES, AuxiliaryCookie, SessionCookie, cookie_flags, cookie_name

NAME = "auth_session"


def test_the_prefix_makes_browsers_guard_the_cookie() -> None:
    assert cookie_name(NAME, secure=True) == "__Host-auth_session"
    assert cookie_name(NAME, secure=True, domain="example.com") == "__Secure-auth_session"
    assert cookie_name(NAME, secure=False) == "auth_session"


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


@pytest.mark.parametrize(("filling", "opens"), [(1000, True), (4000, False)])
def test_a_cookie_that_is_longer_than_any_of_ours_opens_nothing(filling: int, opens: bool) -> None:
    ring = MultiFernet([Fernet(Fernet.generate_key())])
    sealed = ring.encrypt(json.dumps({"session": {"csrf": "x" * filling}}).encode()).decode()
    assert (SessionCookie(Session(), secure=True, fernet=lambda: ring).open(sealed) is not None) is opens
