"""Our cookies: their names, their flags, and what opens."""

import json

import pytest
from aiohttp import web
from cryptography.fernet import Fernet, MultiFernet

from gateway.config.schema import Config, Session
from gateway.session.cookie import (
    PURPOSES,
    AuxiliaryCookie,
    SessionCookie,
    cookie_flags,
    cookie_name,
    cookie_path,
)

NAME = "auth_session"


def test_the_prefix_makes_browsers_guard_the_cookie() -> None:
    assert cookie_name(NAME, secure=True) == "__Host-auth_session"
    assert cookie_name(NAME, secure=True, domain="example.com") == "__Secure-auth_session"
    assert cookie_name(NAME, secure=True, path="/sso") == "__Secure-auth_session"  # __Host- demands Path=/
    assert cookie_name(NAME, secure=False) == "auth_session"


@pytest.mark.parametrize(
    ("url", "paths", "expected"),
    [
        ("https://example.com", ["/"], "/"),
        ("https://example.com", ["/sso/wiki"], "/"),
        ("https://example.com/sso", [], "/sso"),
        ("https://example.com/sso", ["/sso", "/sso/wiki"], "/sso"),
        ("https://example.com/sso", ["/sso/wiki", "/ssox"], "/"),
        ("https://example.com/sso", ["/sso/wiki", "/"], "/"),
        ("https://example.com/a/b", ["/a/b/c"], "/a/b"),
    ],
)
def test_the_path_is_as_narrow_as_the_apps_allow(url: str, paths: list[str], expected: str) -> None:
    """An app that asks us by its proxy, at another path of the host, needs the cookie there, too."""
    routes = [{"host": "*", "path": path, "upstream": "http://127.0.0.1:1"} for path in paths]
    config = Config.model_validate({"server": {"public_url": url, "prefix": "/sso/auth"}, "routes": routes})
    assert cookie_path(config) == expected
    cookie = AuxiliaryCookie.of(config, "kept")
    assert cookie.path == expected
    assert cookie.name.startswith("__Host-") == (expected == "/")


@pytest.mark.parametrize("purpose", PURPOSES)
@pytest.mark.parametrize("secure", [True, False])
def test_no_script_reads_a_cookie_of_ours(purpose: str, secure: bool) -> None:
    server = {"public_url": "https://login.example.com" if secure else "http://localhost"}
    cookie = AuxiliaryCookie.of(Config.model_validate({"server": server}), purpose)
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
