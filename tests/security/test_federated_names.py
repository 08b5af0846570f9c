"""Whose account at a provider is whose user here: no letter, organisation or factor is taken for another."""

import json
from pathlib import Path
from typing import Any

import pytest
from joserfc import jws

from gateway.authn.federation.claims import (
    hosted_domain_asked,
    is_of_hosted_domain,
    is_subject,
    saw_two_factors,
)
from gateway.config.loader import read_text
from gateway.config.sections.identity_providers import OidcProvider
from gateway.errors import ConfigError
from gateway.model import User
from tests.forging_provider import KEY, arrive, forging_rig, sign

CREATE: dict[str, Any] = {"create": True, "domains": ["example.com", "strasse.example"]}


@pytest.mark.parametrize(
    ("email", "status"),
    [
        ("BOSS@Example.com", 303),
        ("boſſ@example.com", 403),
        ("weiß@example.com", 403),
        ("ｂoss@example.com", 403),
        ("boss@ｅxample.com", 303),  # that is how DNS reads it
    ],
)
async def test_an_address_of_other_letters_is_somebody_else(tmp_path: Path, email: str, status: int) -> None:
    async with forging_rig(tmp_path) as (rig, provider), rig.browser() as browser:
        for name in ("boss", "weiss"):
            await rig.add_user(name, email=f"{name}@example.com")
        provider.forge = lambda claims, url: sign({**claims, "email": email})
        assert await arrive(browser, provider) == status


@pytest.mark.parametrize(("domain", "status"), [("strasse.example", 303), ("straße.example", 403)])
async def test_a_domain_of_other_letters_is_another_domain(tmp_path: Path, domain: str, status: int) -> None:
    async with forging_rig(tmp_path, **CREATE) as (rig, provider), rig.browser() as browser:
        claims = {"email": f"new@{domain}", "preferred_username": "new"}
        provider.forge = lambda given, url: sign({**given, **claims})
        assert await arrive(browser, provider) == status


@pytest.mark.parametrize("name", ["ceo", "CEO", ".", "..", "-rf", "аdmin"])
async def test_nobody_chooses_a_name_that_means_something_here(tmp_path: Path, name: str) -> None:
    config = [
        {"host": "*", "path": "/board", "upstream": "UPSTREAM", "policy": {"users": ["Ceo"]}},
        {"host": "*", "path": "/", "upstream": "UPSTREAM"},
    ]
    async with forging_rig(tmp_path, routes=config, **CREATE) as (rig, provider), rig.browser() as browser:
        claims = {"email": "new@example.com", "preferred_username": name}
        provider.forge = lambda given, url: sign({**given, **claims})
        assert await arrive(browser, provider) == 403
        assert [user.username for user in await rig.directory.list(limit=9)] == ["mira"]


@pytest.mark.parametrize("sub", ["\ud800", "a\0b", "a\nb", "", "x" * 256, 7, None, "\x7f"])
async def test_a_subject_that_cannot_be_stored_is_refused(tmp_path: Path, sub: object) -> None:
    assert not is_subject(sub)
    if sub == "\ud800":
        async with forging_rig(tmp_path) as (rig, provider), rig.browser() as browser:
            header = {"alg": "RS256", "kid": KEY.kid}
            provider.forge = lambda claims, url: jws.serialize_compact(
                header, json.dumps({**claims, "sub": sub}).encode(), KEY, algorithms=["RS256"]
            )
            assert await arrive(browser, provider) == 403


@pytest.mark.parametrize("token", ["[" * 4000, ".".join(["eyJhbGciOiJSUzI1NiJ9", "W1tb" * 3000, "AA"])])
async def test_nested_answers_of_a_provider_are_refused_without_a_fault(tmp_path: Path, token: str) -> None:
    async with forging_rig(tmp_path) as (rig, provider), rig.browser() as browser:
        provider.forge = lambda claims, url: token
        assert await arrive(browser, provider) in (403, 503)


FACTORS: list[tuple[dict[str, Any], bool]] = [
    ({"amr": ["pwd", "otp"]}, True),
    ({"amr": ["mfa"]}, True),
    ({"amr": ["pin", "hwk"]}, True),
    ({"amr": ["fpt", "swk"]}, True),
    ({"amr": ["otp"]}, False),
    ({"amr": ["user"]}, False),
    ({"amr": ["pwd", "user"]}, False),
    ({"amr": ["otp", "sms"]}, False),
    ({"amr": ["pwd", "pin", "kba"]}, False),
    ({"amr": "mfa"}, False),
    ({"amr": [["mfa"], 1, None]}, False),
    ({}, False),
    ({"acr": "https://refeds.org/profile/mfa"}, True),
    ({"acr": "http://schemas.openid.net/pape/policies/2007/06/multi-factor"}, True),
    ({"acr": "1"}, False),
    ({"acr": ["https://refeds.org/profile/mfa"]}, False),
]


@pytest.mark.parametrize(("claims", "two"), FACTORS, ids=str)
def test_one_proof_of_the_provider_is_not_two(claims: dict[str, Any], two: bool) -> None:
    assert saw_two_factors(claims) is two


async def test_a_code_alone_at_the_provider_opens_no_route_for_two_factors(tmp_path: Path) -> None:
    async with forging_rig(tmp_path, trust_mfa=True) as (rig, provider), rig.browser() as browser:
        provider.forge = lambda claims, url: sign({**claims, "amr": ["otp"]})
        assert await arrive(browser, provider) == 303
        assert (await browser.get("/")).headers["Location"].startswith("/_auth/verify")


def google(*domains: str, issuer: str = "https://accounts.google.com") -> OidcProvider:
    given = {"name": "g", "kind": "oidc", "issuer": issuer, "client_id": "a", "client_secret": "b"}
    return OidcProvider.model_validate({**given, "domains": domains})


@pytest.mark.parametrize(
    ("domains", "claims", "in_it"),
    [
        (("example.com",), {"email": "a@example.com", "hd": "example.com"}, True),
        (("example.com",), {"email": "a@example.com", "hd": "Example.COM"}, True),
        (("example.com",), {"email": "a@example.com"}, False),  # a private account with that address
        (("example.com",), {"email": "a@example.com", "hd": "other.test"}, False),
        (("example.com",), {"email": "a@example.com", "hd": ""}, False),
        (("gmail.com",), {"email": "a@gmail.com"}, True),
        (("example.com",), {"email": "a@gmail.com", "hd": "example.com"}, False),
        (("example.com", "gmail.com"), {"email": "a@gmail.com"}, True),
        (("example.com", "gmail.com"), {"email": "a@example.com"}, False),
        ((), {"email": "a@example.com"}, True),
    ],
)
def test_an_account_at_google_is_its_organisations_by_hd(
    domains: tuple[str, ...], claims: dict[str, Any], in_it: bool
) -> None:
    assert is_of_hosted_domain(google(*domains), claims) is in_it
    assert is_of_hosted_domain(google(*domains, issuer="https://id.example.com"), {"email": "a@x.test"})


def test_google_is_asked_for_the_organisation() -> None:
    assert hosted_domain_asked(google("example.com")) == "example.com"
    assert hosted_domain_asked(google("example.com", "example.org")) == "*"
    assert hosted_domain_asked(google("example.com", "gmail.com")) == ""
    assert hosted_domain_asked(google()) == ""
    assert hosted_domain_asked(google("example.com", issuer="https://id.test")) == ""


ENTRA = "https://login.microsoftonline.com"


@pytest.mark.parametrize(
    ("more", "sound"),
    [
        ("issuer: 'https://id.test'", False),
        ("issuer: 'https://accounts.google.com'", False),
        ("issuer: 'https://id.test', domains: [example.com]", True),
        ("issuer: 'https://id.test', assigns_usernames: true", True),
        (f"issuer: '{ENTRA}/11111111-2222-3333-4444-555555555555/v2.0'", True),
        (f"issuer: '{ENTRA}/common/v2.0'", False),
        (f"issuer: '{ENTRA}/common/v2.0', tenants: [11111111-2222-3333-4444-555555555555]", True),
    ],
)
def test_names_that_people_choose_match_nobody_unsaid(more: str, sound: bool) -> None:
    text = (
        "identity_providers: [{name: x, kind: oidc, client_id: a, client_secret: b, match: username, "
        f"{more}}}]\nroutes: [{{host: app.test, upstream: 'http://127.0.0.1:9000'}}]\n"
    )
    if sound:
        read_text(text, "config.yaml", {})
    else:
        with pytest.raises(ConfigError, match="takes a user's name"):
            read_text(text, "config.yaml", {})


async def test_users_from_elsewhere_have_names_like_all_others(tmp_path: Path) -> None:
    async with forging_rig(tmp_path, **CREATE) as (rig, provider), rig.browser() as browser:
        claims = {"email": "new@example.com", "preferred_username": "New Person"}
        provider.forge = lambda given, url: sign({**given, **claims})
        assert await arrive(browser, provider) == 303
        found = await rig.directory.get("new-person")
        assert isinstance(found, User)
