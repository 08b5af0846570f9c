"""Groups that a provider names: only those that the configuration takes, for this session, never more."""

from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from aiohttp import web

from gateway.authn.federation.base import NotSignedIn, ProviderLogin
from gateway.authn.federation.github import Github
from gateway.authn.federation.group_names import groups_claimed, groups_from
from gateway.authn.federation.openid import OpenIdProvider
from gateway.config.schema import GithubProvider, OidcProvider
from tests.forging_provider import arrive, forging_rig, leave, sign
from tests.rig import running_upstream

ROUTES = [
    {"path": "/ops", "upstream": "UPSTREAM", "policy": {"require": "one_factor", "groups": ["ops"]}},
    {"path": "/own", "upstream": "UPSTREAM", "policy": {"require": "one_factor", "groups": ["kc:dev"]}},
    {"path": "/any", "upstream": "UPSTREAM", "policy": {"require": "one_factor"}},
]


def provider(**groups: Any) -> OidcProvider:
    return provider_of(groups=groups or None)


def provider_of(**settings: Any) -> OidcProvider:
    return OidcProvider(
        kind="oidc", name="corp", issuer="https://id.test", client_id="c", client_secret="s", **settings
    )


@pytest.mark.parametrize(
    ("settings", "named", "ours"),
    [
        ({}, ("ops", "admins"), ()),
        ({"map": {"staff": ["ops", "dev"]}}, ("staff", "ops", "admins"), ("ops", "dev")),
        ({"map": {"staff": ["ops"]}}, ("Staff", "staff ", "staff/x"), ()),
        ({"prefix": "kc:"}, ("ops", "ops"), ("kc:ops",)),
        ({"prefix": "kc:", "map": {"a": ["ops"]}}, ("a",), ("ops", "kc:a")),
    ],
)
def test_only_groups_that_are_named_or_have_the_providers_prefix_count(
    settings: dict[str, Any], named: tuple[str, ...], ours: tuple[str, ...]
) -> None:
    assert groups_from(provider(**settings), named) == ours


def test_what_can_not_be_told_whole_lets_nobody_in() -> None:
    config = provider(prefix="kc:")
    for named in ([f"g{number}" for number in range(201)], ["x" * 200], ["a\u202eb"]):
        with pytest.raises(NotSignedIn):
            groups_from(config, named)
    for overage in ({"_claim_names": {"groups": "src1"}}, {"hasgroups": True}):
        with pytest.raises(NotSignedIn, match="too many"):
            groups_claimed(config, overage)
        assert groups_claimed(provider(), overage) == ()
    assert groups_claimed(provider(claim="realm_access.roles"), {"realm_access": {"roles": ["a"]}}) == ("a",)


async def test_groups_last_as_long_as_the_session_and_are_those_of_its_sign_in(tmp_path: Path) -> None:
    groups = {"map": {"staff": ["ops", "admins"]}, "prefix": "kc:"}
    sections = {"admin": {"groups": ["admins"]}}
    async with forging_rig(tmp_path, ROUTES, sections, groups=groups) as (rig, provider):

        def says(*names: str) -> None:
            provider.forge = lambda claims, url: sign({**claims, "groups": list(names)})

        async def statuses(browser: Any) -> list[int]:
            return [(await browser.get(path)).status for path in ("/ops", "/own", "/any")]

        async with rig.browser() as browser, rig.browser() as other:
            says("staff", "dev", "ops")
            assert await arrive(browser, provider) == 303
            assert await statuses(browser) == [200, 200, 200]
            answer = await (await browser.get("/own")).json()
            told = dict(answer["headers"])["Remote-Groups"]
            assert told == "ops,admins,kc:staff,kc:dev,kc:ops"
            console = await browser.get("/_auth/admin")  # nobody is an administrator by a provider's word
            assert console.status == 403
            says("dev")
            assert await arrive(other, provider) == 303
            assert await statuses(other) == [403, 200, 200]
            assert await statuses(browser) == [200, 200, 200]
            says()
            assert await arrive(browser, provider) == 303
            assert await statuses(browser) == [403, 403, 200]
        user = await rig.directory.get("mira")
        assert user is not None
        assert user.groups == ()


async def test_more_parameters_are_sent_and_none_of_ours_is_replaced(tmp_path: Path) -> None:
    more = {"prompt": "select_account", "x": "a b&c=d"}
    async with forging_rig(tmp_path, ROUTES, authorize=more) as (rig, provider), rig.browser() as browser:
        asked = await leave(browser, provider)
        assert {name: asked[name] for name in more} == more
    config = provider_of(
        authorize={"state": "s", "nonce": "n", "scope": "x", "redirect_uri": "https://evil.test"}
    )
    one = OpenIdProvider(config, lambda: 0.0)
    one._found, one._found_at = {"authorization_endpoint": "https://id.test/authorize"}, 0.0
    where = await one.address(ProviderLogin("S", "N", "v", "https://here.test/callback"))
    sent = parse_qs(urlsplit(where).query)
    assert sent["state"] == ["S"]
    assert sent["nonce"] == ["N"]
    assert sent["redirect_uri"] == ["https://here.test/callback"]
    assert sent["scope"] == ["openid email profile"]


async def test_groups_may_come_by_userinfo_and_of_an_overage_nobody_comes(tmp_path: Path) -> None:
    async with forging_rig(tmp_path, ROUTES, groups={"prefix": "kc:"}) as (rig, provider):
        provider.userinfo = {"sub": "m1", "groups": ["dev"]}
        async with rig.browser() as browser:
            assert await arrive(browser, provider) == 303
            assert (await browser.get("/own")).status == 200
        provider.forge = lambda claims, url: sign({**claims, "_claim_names": {"groups": "src1"}})
        async with rig.browser() as browser:
            assert await arrive(browser, provider) == 403


class Organisations:
    """GitHub's API as docs.github.com describes memberships and teams, a hundred a page."""

    def __init__(self) -> None:
        self.orgs: object = [{"organization": {"login": f"Org{number}"}} for number in range(100)]
        self.orgs += [{"organization": {"login": "Acme"}}]  # type: ignore[operator]
        self.teams: object = [{"slug": "ops", "organization": {"login": "Acme"}}]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if request.path == "/login/oauth/access_token":
            return web.json_response({"access_token": "t"})
        if request.path == "/user":
            return web.json_response({"id": 1, "login": "mira"})
        if request.path == "/user/emails":
            return web.json_response([{"email": "mira@example.com", "primary": True, "verified": True}])
        assert request.query["per_page"] == "100"
        if request.path == "/user/memberships/orgs":
            assert request.query["state"] == "active"  # who is only invited is no member
        some = self.teams if request.path == "/user/teams" else self.orgs
        begin = 100 * (int(request.query["page"]) - 1)
        return web.json_response(some[begin : begin + 100] if isinstance(some, list) else some)


async def test_organisations_and_teams_of_github_are_groups_and_what_is_not_told_is_refused() -> None:
    api = Organisations()
    async with running_upstream(api.handle) as server:
        config = GithubProvider(
            kind="github",
            name="github",
            client_id="c",
            client_secret="s",
            base_url=server.url,
            api_url=server.url,
            groups={"map": {"acme": ["staff"], "acme/ops": ["ops"]}},
        )
        one, attempt = Github(config), ProviderLogin("s", "n", "v", "http://here/callback")
        try:
            assert "read%3Aorg" in await one.address(attempt)
            account = await one.account(attempt, {"code": "c"})
            assert groups_from(config, account.groups) == ("staff", "ops")
            assert len(account.groups) == 102
            for wrong in ({"message": "Forbidden"}, [{"organization": None}], [{}] * 500):
                api.orgs = wrong
                with pytest.raises(NotSignedIn):
                    await one.account(attempt, {"code": "c"})
            api.orgs, api.teams = [], {"message": "Not Found"}
            with pytest.raises(NotSignedIn):
                await one.account(attempt, {"code": "c"})
        finally:
            await one.close()
