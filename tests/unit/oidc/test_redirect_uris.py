"""Where an app may take its users back: exactly where it is registered, whatever the address looks like."""

from urllib.parse import urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.config.checks.oidc import uri_problem
from gateway.oidc.clients import is_registered

LOOPBACK = "http://127.0.0.1/cb"
REGISTERED = (
    "https://app.example.com/cb",
    "https://app.example.com/cb?tenant=1",
    LOOPBACK,
    "http://[::1]:1/x",
)

characters = st.characters(min_codepoint=1, max_codepoint=0x17F)
near = st.builds(
    lambda uri, at, what, cut: uri[: at % (len(uri) + 1)] + what + uri[at % (len(uri) + 1) + cut :],
    st.sampled_from(REGISTERED),
    st.integers(0, 60),
    st.text(characters, max_size=4),
    st.integers(0, 2),
)
anything = st.one_of(st.text(characters, max_size=60), near)


@given(anything)
@example("https://app.example.com/cb/")
@example("https://app.example.com/cb#x")
@example("https://APP.example.com/cb")
def test_an_app_with_a_secret_gets_its_users_back_at_registered_addresses_only(asked: str) -> None:
    assert is_registered(REGISTERED, asked, native=False) == (asked in REGISTERED)


@given(anything)
@example("http://127.0.0.1:80@evil.example/cb")
@example("http://127.0.0.1:0/cb")
@example("http://127.0.0.1.evil.example/cb")
@example("http://127.0.0.1:1234/cb\n")
def test_a_native_app_differs_by_the_port_of_loopback_and_by_nothing_else(asked: str) -> None:
    if is_registered(REGISTERED, asked, native=True) and asked not in REGISTERED:
        parts = urlsplit(asked)
        assert parts.hostname in ("127.0.0.1", "::1")
        assert parts.scheme == "http"
        assert parts.username is None
        assert (parts.path, parts.query, parts.fragment) in (("/cb", "", ""), ("/x", "", ""))


@given(st.integers(1, 65535))
def test_a_native_app_may_listen_on_any_port(port: int) -> None:
    assert is_registered([LOOPBACK], f"http://127.0.0.1:{port}/cb", native=True)
    assert not is_registered([LOOPBACK], f"http://127.0.0.1:{port}/cb", native=False)
    assert is_registered(["http://localhost/cb"], f"http://localhost:{port}/cb", native=True)
    assert not is_registered(["https://127.0.0.1/cb"], f"https://127.0.0.1:{port}/cb", native=True)


@pytest.mark.parametrize(
    "uri",
    ["https://app.example.com/cb", "http://127.0.0.1/cb", "http://localhost:3000/", "com.example.app:/done"],
)
def test_addresses_that_can_be_registered(uri: str) -> None:
    assert uri_problem(uri, native=False) == ""


@pytest.mark.parametrize(
    "uri",
    [
        "http://app.example.com/cb",
        "https://*.example.com/cb",
        "https://app.example.com/cb#f",
        "javascript:alert(1)",
        "data:text/html,x",
        "https:///cb",
        "https://u@h/cb",
        "https://h:99999/",
        "/cb",
        "https://app.example.com/a b",
        "myapp:/cb",
        "",
    ],
)
def test_addresses_that_can_not(uri: str) -> None:
    assert uri_problem(uri, native=False)
