"""Where a browser signs out at a provider: an address of the provider's own, which alone is told who is signed in."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from gateway.authn.federation.end_session import LONGEST_HINT, end_session_address

ISSUER = "https://id.example.com/realms/crew"


def address(endpoint: object, issuer: str = ISSUER, hint: str = "e.y.J", **found: Any) -> str:
    discovery = {"end_session_endpoint": endpoint, **found}
    return end_session_address(
        discovery,
        issuer=issuer,
        client_id="gateway",
        back="https://l.test/_auth/logout",
        state="st",
        hint=hint,
    )


def asked(address: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}


def test_the_provider_is_told_who_signs_out_and_where_to_send_them() -> None:
    found = address("https://id.example.com/end?ui=1")
    assert found.startswith("https://id.example.com/end?ui=1&id_token_hint=")
    assert asked(found) == {
        "ui": "1",
        "id_token_hint": "e.y.J",
        "client_id": "gateway",
        "post_logout_redirect_uri": "https://l.test/_auth/logout",
        "state": "st",
    }


def test_a_hint_that_is_too_long_for_an_address_is_left_out() -> None:
    assert "id_token_hint" in asked(address("https://id.example.com/end", hint="x" * LONGEST_HINT))
    for hint in ("", "x" * (LONGEST_HINT + 1)):
        assert "id_token_hint" not in asked(address("https://id.example.com/end", hint=hint))


@pytest.mark.parametrize(
    "endpoint",
    [
        None,
        7,
        "",
        "/end",
        "http://id.example.com/end",
        "https://evil.test/end",
        "https://id.example.com.evil.test/end",
        "https://id.example.com:8443/end",
        "https://user@id.example.com/end",
        "https://id.example.com/end#part",
        "https://id.example.com/e nd",
        "javascript:alert(1)",
    ],
)
def test_nobody_else_is_told(endpoint: object) -> None:
    assert address(endpoint) == ""


def test_the_host_that_signs_users_in_counts_as_the_providers_and_cognito_has_a_word_of_its_own() -> None:
    pool = "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_abc"
    host = "https://crew.auth.eu-west-1.amazoncognito.com"
    found = address(f"{host}/logout", issuer=pool, authorization_endpoint=f"{host}/oauth2/authorize")
    assert asked(found)["logout_uri"] == "https://l.test/_auth/logout"
    assert address(f"{host}/logout", issuer=pool) == ""


def test_on_this_machine_http_will_do() -> None:
    assert address("http://127.0.0.1:9/end", issuer="http://127.0.0.1:9")
    assert not address("http://127.0.0.1:9/end", issuer="https://127.0.0.1:9")
