"""The forward-auth addresses of other gateways: asked as their own documentation has proxies ask."""

from pathlib import Path

import pytest

from tests.peer_dialects import OUTPOST, Dialect, ask, by_uri, dialects, fetch, gateway


@dialects
async def test_a_peers_address_gives_our_verdict_in_the_peers_words(dialect: Dialect, tmp_path: Path) -> None:
    async with gateway(tmp_path, **dialect.forward) as rig, rig.browser() as browser:
        await rig.add_user("alice", email="a@example.com", groups=("ops", "dev"))
        stranger = await ask(browser, dialect, "/x?a=1")
        assert stranger.status == (302 if dialect.redirects else 401)
        assert stranger.headers["Location"] == f"{rig.url}/_auth/login?rd=/x%3Fa%3D1"
        assert (await ask(browser, dialect, "/api", "application/json")).status == 401
        assert (await ask(browser, dialect, "/shut")).status == 403
        await browser.password()
        assert (await ask(browser, dialect, "/x")).status == (302 if dialect.redirects else 401)
        assert (await ask(browser, dialect, "/one")).status == dialect.yes
        await browser.code()
        yes = await ask(browser, dialect, "/x", **{dialect.user_header: "mallory"})
        assert (yes.status, yes.headers[dialect.user_header]) == (dialect.yes, "alice")
        assert "Set-Cookie" not in yes.headers
        assert (await ask(browser, dialect, "/shut")).status == 403
        assert (await ask(browser, dialect, "/open/..;/shut")).status in (400, 403)


async def test_oauth2_proxys_demands_in_the_query_narrow_and_never_widen(tmp_path: Path) -> None:
    async with gateway(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user("alice", email="alice@Example.com", groups=("ops", "dev"))
        headers = by_uri(f"127.0.0.1:{rig.port}", "/open")
        assert (await fetch(browser, "/oauth2/auth?allowed_groups=ops", headers)).status == 401
        await browser.sign_in()
        for query, status in (
            ("allowed_groups=x,ops", 202),
            ("allowed_groups=x", 403),
            ("allowed_groups=", 403),
            ("allowed_emails=alice@example.com", 202),
            ("allowed_emails=alice@example.com&allowed_groups=x", 403),
            ("allowed_email_domains=example.com", 202),
            ("allowed_email_domains=.com", 202),
            ("allowed_email_domains=ample.com", 403),
        ):
            assert (await fetch(browser, f"/oauth2/auth?{query}", headers)).status == status, query
        shut = by_uri(f"127.0.0.1:{rig.port}", "/shut")
        assert (await fetch(browser, "/oauth2/auth?allowed_groups=ops", shut)).status == 403


@pytest.mark.parametrize(
    ("asked", "where"),
    [
        ("/oauth2/sign_in?rd=/one", "login?rd=/one"),
        ("/oauth2/start?rd=https://evil.test/", "login?rd=/"),
        ("/oauth2/sign_out?rd=/one", "logout?rd=/one"),
        ("/outpost.goauthentik.io/start?rd=/one", "login?rd=/one"),
        ("/outpost.goauthentik.io/sign_out", "logout?rd=/"),
        ("/login?url=/one&vouch-failcount=1", "login?rd=/one"),
        ("/logout?url=/one", "logout?rd=/one"),
        ("/?rd=/one", "login?rd=/one"),
    ],
)
async def test_the_peers_pages_lead_to_ours_and_never_elsewhere(
    asked: str, where: str, tmp_path: Path
) -> None:
    compatible = ["vouch"] if "url=" in asked else ["authelia", "oauth2-proxy", "authentik"]
    async with gateway(tmp_path, compatible=compatible) as rig, rig.browser() as browser:
        answer = await browser.get(asked)
        assert (answer.status, answer.headers["Location"]) == (303, f"{rig.url}/_auth/{where}")
        assert answer.headers["Refresh"] == f"0; url={rig.url}/_auth/{where}"


async def test_userinfo_tells_of_nobody_whom_the_app_would_not_be_told_of(tmp_path: Path) -> None:
    async with gateway(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user("alice", email="a@example.com", groups=("ops",))
        assert (await browser.get("/oauth2/userinfo")).status == 401
        await browser.password()
        assert (await browser.get("/oauth2/userinfo")).status == 401
        await browser.code()
        facts = await (await browser.get("/oauth2/userinfo")).json()
        assert facts == {
            "user": "alice",
            "email": "a@example.com",
            "groups": ["ops"],
            "preferredUsername": "alice",
        }


async def test_addresses_of_peers_that_are_not_named_belong_to_the_app(tmp_path: Path) -> None:
    routes = [{"upstream": "UPSTREAM", "policy": {"require": "bypass"}}]
    async with gateway(tmp_path, routes, compatible=[]) as rig, rig.browser() as browser:
        for path in ("/api/verify", "/oauth2/auth", "/validate", f"{OUTPOST}/nginx", "/login", "/?rd=x"):
            assert (await browser.get(path)).status == 200
            assert (await browser.get(path)).status == 200  # by the fast path, too
