"""What becomes of Pomerium's routes and policies: nobody may pass who could not before."""

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.cli.importers.comparison import compare
from gateway.cli.importers.findings import as_yaml
from gateway.cli.importers.pomerium.routes import read_configuration as read_pomerium
from gateway.config.loader import read_text
from gateway.model import User
from tests.import_rig import CAROL, MAL, OPS, config_of
from tests.importers_rig import verdict


def pomerium(routes: str) -> str:
    return f"authenticate_service_url: https://auth.example.com\nroutes: {routes}\n"


def test_pomeriums_routes_and_users_come_along(importing) -> None:
    routes = """[{from: 'https://app.example.com', to: 'http://10.0.0.2:80', allowed_users: [Carol@example.com]},
      {from: 'https://app.example.com', to: ['http://10.0.0.3:80,1', 'http://10.0.0.4:80'], prefix: /pub,
       allow_public_unauthenticated_access: true},
      {from: 'https://wiki.example.com', to: 'http://10.0.0.5', policy: [{allow: {or: [{groups: {has: ops}}]}}]}]"""
    result = importing("pomerium", configuration=pomerium(routes))
    config = config_of(result)
    assert verdict(config, "https://app.example.com/", who=CAROL) == "allow"
    assert verdict(config, "https://app.example.com/", who=MAL) == "deny"
    assert verdict(config, "https://app.example.com/pub/x") == "allow"
    assert verdict(config, "https://wiki.example.com/", who=OPS) == "allow"
    assert verdict(config, "https://wiki.example.com/", who=MAL) == "deny"
    assert ", 0 looser" in result.stderr


@pytest.mark.parametrize(
    "policy",
    [
        "allowed_domains: [example.com]",
        "policy: [{allow: {and: [{domain: {is: example.com}}, {groups: {has: ops}}]}}]",
        "policy: [{allow: {not: [{email: {is: mal}}]}}]",
        "policy: [{allow: {or: [{claim/roles: admin}]}}]",
        "policy: [{allow: {or: [{email: {ends_with: '@example.com'}}]}}]",
        "policy: [{allow: {or: [{authenticated_user: true}]}, deny: {or: [{device: {is: x}}]}}]",
    ],
)
def test_a_policy_of_pomeriums_that_can_not_be_said_lets_nobody_in(importing, policy: str) -> None:
    routes = f"[{{from: 'https://app.example.com', to: 'http://10.0.0.2:80', {policy}}}]"
    result = importing("pomerium", configuration=pomerium(routes))
    for who in (CAROL, OPS, MAL):
        assert verdict(config_of(result), "https://app.example.com/", who=who) == "deny"
    assert "what it opened is denied" in result.stderr


def test_a_denial_of_pomeriums_counts_before_every_permission(importing) -> None:
    policy = "policy: [{allow: {or: [{authenticated_user: true}]}}, {deny: {or: [{email: {is: mal}}]}}]"
    routes = f"[{{from: 'https://app.example.com', to: 'http://10.0.0.2:80', {policy}}}]"
    config = config_of(importing("pomerium", configuration=pomerium(routes)))
    assert verdict(config, "https://app.example.com/", who=MAL) == "deny"
    assert verdict(config, "https://app.example.com/", who=CAROL) == "allow"


CRITERION = st.sampled_from(
    [
        {"accept": True},
        {"authenticated_user": True},
        {"email": {"is": "Carol@example.com"}},
        {"groups": {"has": "ops"}},
        {"domain": {"is": "example.com"}},
        {"http_method": {"is": "GET"}},
        {"source_ip": "10.0.0.0/8"},
        {"claim/x": "y"},
    ]
)


BODY = st.dictionaries(
    st.sampled_from(["or", "and", "not"]), st.lists(CRITERION, min_size=1, max_size=3), min_size=1, max_size=2
)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from(["allow", "deny"]), BODY, min_size=1), max_size=3))
def test_no_policy_of_pomeriums_becomes_looser(policy: list[dict[str, object]]) -> None:
    route = {"from": "https://app.example.com", "to": "http://10.0.0.2:80", "policy": policy}
    found = read_pomerium(yaml.safe_dump({"routes": [route]}))
    config = read_text(as_yaml(found, "pomerium"), "imported.yaml", {}).config
    assert found.original is not None
    people = [User("carol@example.com", email="carol@example.com"), OPS, MAL]
    assert [row for row in compare(found.original, config, people) if row.looser] == []
