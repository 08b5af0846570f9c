"""What an app is told about a user: claims by scope, own claims, and groups under the names that the app knows."""

from typing import Any

import pytest

from gateway.config.sections.oidc import Oidc, OidcClient
from gateway.config.sections.oidc_claims import ToldGroups
from gateway.model import User
from gateway.oidc.claims import ClaimRules, told_groups
from gateway.oidc.clients import Client
from gateway.oidc.subjects import sector_of

ALICE = User(
    "alice",
    name="Alice",
    email="alice@example.com",
    phone="+491511",
    groups=("staff", "app-a", "acme/ops"),
    attributes=(("department", ("ops",)), ("site", ("berlin", "ulm"))),
)
OWN = {
    "department": "{user.department}",
    "site": "{user.site}",
    "sites": "{user.department|json}",
    "where": "{user.department} in {user.site}",
    "given_name": "{user.name}",
    "roles": "{user.groups}",
    "missing": "{user.cost_center}",
    "half": "x {user.cost_center}",
}


def rules(**scopes: Any) -> ClaimRules:
    return ClaimRules(Oidc(claims=OWN, scopes=scopes))


def test_scopes_stand_for_their_claims_and_for_no_others() -> None:
    made = rules(hr=["department", "site"], pay={"text": "See it", "claims": ["sites"]}, api="Use the API")
    assert made.of(["openid", "api", "unknown"]) == frozenset()
    assert made.of(["profile"]) == {"name", "preferred_username", "given_name"}
    assert made.of(["hr", "pay"]) == {"department", "site", "sites"}
    assert made.told(ALICE, made.of(["profile", "email"])) == {
        "name": "Alice",
        "preferred_username": "alice",
        "email": "alice@example.com",
        "email_verified": True,
        "given_name": "Alice",
    }


def test_an_own_claim_is_text_or_a_list_and_left_out_where_the_fact_is_missing() -> None:
    assert rules().told(ALICE, OWN) == {
        "department": "ops",
        "site": ["berlin", "ulm"],
        "sites": ["ops"],
        "where": "ops in berlin,ulm",
        "given_name": "Alice",
        "roles": ["staff", "app-a", "acme/ops"],
    }


def test_who_is_in_no_group_is_told_to_be_in_none_where_groups_may_be_told() -> None:
    assert rules().told(User("bob"), ["groups", "email", "phone_number"]) == {"groups": []}


@pytest.mark.parametrize(
    ("settings", "heard"),
    [
        ({}, ("staff", "app-a", "acme/ops")),
        ({"only": ["app-*"]}, ("app-a",)),
        ({"only": ["*"]}, ("staff", "app-a")),
        ({"only": ["acme/**", "STAFF"]}, ("acme/ops",)),
        ({"map": {"staff": "Editors"}}, ("Editors", "app-a", "acme/ops")),
        ({"map": {"staff": "Editors"}, "prefix": "gw:"}, ("Editors", "gw:app-a", "gw:acme/ops")),
        ({"only": ["staff", "app-*"], "map": {"staff": "A", "app-a": "A"}}, ("A",)),
        ({"only": ["none"]}, ()),
    ],
)
def test_an_app_hears_the_groups_that_it_may_under_the_names_that_it_knows(
    settings: dict[str, Any], heard: tuple[str, ...]
) -> None:
    told = ToldGroups(**settings)
    assert told_groups(told, ALICE.groups) == heard
    made = rules().told(ALICE, ["groups", "roles"], told)
    assert made["groups"] == list(heard)
    assert made.get("roles", []) in (list(heard), "".join(heard)), "an own claim is no way around the filter"


def test_an_app_may_ask_for_the_claims_of_its_scopes_and_for_those_that_are_named() -> None:
    app = Client(OidcClient(id="a", scopes=("openid", "email"), claims=("department",)))
    assert rules().askable(app) == {"email", "email_verified", "department"}


@pytest.mark.parametrize(
    ("settings", "sector"),
    [
        ({"redirect_uris": ["https://a.example.com/1", "https://A.example.com:8443/2"]}, "a.example.com"),
        ({"redirect_uris": ["https://a.example.com/1", "http://127.0.0.1/cb"]}, "a.example.com"),
        ({"redirect_uris": ["http://localhost/cb"]}, "client:app"),
        ({"redirect_uris": ["com.example.app:/done"]}, "client:app"),
        ({"redirect_uris": ["https://a.example.com/1", "https://b.example.com/1"]}, "client:app"),
        ({}, "client:app"),
        ({"sector_identifier_uri": "https://s.example.com/list.json"}, "s.example.com"),
    ],
)
def test_the_sector_of_an_app_is_the_host_of_its_users_return(settings: Any, sector: str) -> None:
    assert sector_of(OidcClient(id="app", **settings)) == sector
