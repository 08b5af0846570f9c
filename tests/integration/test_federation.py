"""Sign-in through a real OpenID provider and through a GitHub that answers as GitHub documents."""

import re
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
from aiohttp import web

from tests.federation_rig import at_provider, federated_rig
from tests.rig import Browser, Rig, running_gateway, running_upstream


async def set_out(browser: Browser, rd: str = "/wiki") -> str:
    page = await (await browser.get(f"/_auth/login?rd={rd}")).text()
    assert "Sign in with Corp" in page
    leaving = await browser.get(f"/_auth/federated/corp?rd={rd}")
    assert leaving.status == 303
    return leaving.headers["Location"]


async def travel(rig: Rig, browser: Browser, account: str, rd: str = "/wiki") -> aiohttp.ClientResponse:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as elsewhere:
        back = await at_provider(elsewhere, await set_out(browser, rd), account)
    assert back.startswith(rig.url)
    return await browser.get(back.removeprefix(rig.url))


def events(rig: Rig) -> list[str]:
    return [row.event for row in rig.gateway.services.audit._queue]


async def test_an_account_elsewhere_is_the_first_factor_and_the_second_is_ours(tmp_path: Path) -> None:
    async with federated_rig(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user("mira", email="mira@example.com")
        back = await travel(rig, browser, "m1")
        assert (back.status, back.headers["Location"]) == (303, "/_auth/verify?rd=/wiki")
        assert (await browser.get("/wiki")).status == 303
        assert (await browser.code(rd="/wiki")).headers["Location"] == "/wiki"
        headers = dict((await (await browser.get("/wiki")).json())["headers"])
        assert headers["Remote-User"] == "mira"
        (session,) = await rig.gateway.stores.sessions.list("mira")
        assert session.amr == ("federated", "sms")


async def test_once_linked_only_the_subject_counts(tmp_path: Path) -> None:
    async with federated_rig(tmp_path) as rig:
        user = await rig.add_user("mira", email="mira@example.com")
        async with rig.browser() as browser:
            assert (await travel(rig, browser, "m1")).status == 303
        async with rig.browser() as thief:  # the provider gave the same address to another account
            refused = await travel(rig, thief, "m2")
            assert refused.status == 403
            assert "No user here belongs to that account" in await refused.text()
            assert (await thief.get("/wiki")).headers["Location"].startswith("/_auth/login")
        await rig.directory.replace(replace(user, email="elsewhere@example.com"))
        async with rig.browser() as again:
            assert (await travel(rig, again, "m1")).status == 303


async def test_unverified_addresses_and_strangers_are_nobody(tmp_path: Path) -> None:
    async with federated_rig(tmp_path) as rig:
        await rig.add_user("mira", email="mira@example.com")
        for account in ("u1", "x1"):
            async with rig.browser() as browser:
                assert (await travel(rig, browser, account)).status == 403


async def test_names_may_match_and_users_be_created_for_a_domain(tmp_path: Path) -> None:
    settings = {"match": "username", "create": True, "domains": ["example.com"], "create_groups": ["staff"]}
    async with federated_rig(tmp_path, **settings) as rig:
        await rig.add_user("mira")
        for account, status in (("m1", 303), ("n1", 303), ("x1", 403), ("u1", 403)):
            async with rig.browser() as browser:
                assert (await travel(rig, browser, account)).status == status, account
        new = await rig.directory.get("new-person")
        assert new is not None
        assert (new.name, new.email, new.groups) == ("New", "new@example.com", ("staff",))


async def test_a_provider_that_is_away_leaves_the_password(tmp_path: Path) -> None:
    away = {
        "kind": "oidc",
        "name": "corp",
        "label": "Corp",
        "issuer": "http://127.0.0.1:9",
        "client_id": "x",
        "client_secret": "y",
    }
    async with running_gateway(tmp_path, identity_providers=[away]) as rig, rig.browser() as browser:
        await rig.add_user()
        answer = await browser.get("/_auth/federated/corp?rd=/wiki")
        text = await answer.text()
        assert answer.status == 503
        assert "Sign in another way" in text
        assert "127.0.0.1:9" not in text
        await browser.sign_in()
        assert (await browser.get("/wiki")).status == 200


async def test_several_providers_stand_beside_the_password(tmp_path: Path) -> None:
    secrets = {"client_id": "x", "client_secret": "y"}
    providers = [
        {"kind": "oidc", "name": "corp", "label": "Corp", "issuer": "http://127.0.0.1:9", **secrets},
        {"kind": "oidc", "name": "partner", "label": "Partner", "issuer": "http://127.0.0.1:9/p", **secrets},
        {"kind": "github", "name": "github", "label": "GitHub", **secrets},
    ]
    async with running_gateway(tmp_path, identity_providers=providers) as rig, rig.browser() as browser:
        page = await (await browser.get("/_auth/login?rd=/wiki")).text()
        assert re.findall(r"Sign in with (\w+)", page) == ["Corp", "Partner", "GitHub"]
        assert 'name="password"' in page
        for name in ("corp", "partner", "github"):
            assert f"/_auth/federated/{name}?rd=/wiki" in page


class FakeGithub:
    """Answers as docs.github.com says: authorize, access_token, /user, /user/emails."""

    def __init__(self) -> None:
        self.emails = [
            {"email": "old@example.com", "primary": False, "verified": True},
            {"email": "mira@example.com", "primary": True, "verified": True},
        ]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if request.path == "/login/oauth/access_token":
            form = await request.post()
            right = (form["client_id"], form["client_secret"], form["code"]) == ("id", "secret", "c0de")
            assert form["code_verifier"]
            return web.json_response(
                {"access_token": "t0ken"} if right else {"error": "bad_verification_code"}
            )
        if request.headers.get("Authorization") != "Bearer t0ken":
            return web.json_response({"message": "Bad credentials"}, status=401)
        if request.path == "/user":
            return web.json_response({"id": 583231, "login": "mira", "name": "Mira"})
        return web.json_response(self.emails)


async def test_github_speaks_oauth_and_its_primary_verified_address_counts(tmp_path: Path) -> None:
    github = FakeGithub()
    async with running_upstream(github.handle) as server:
        settings = {
            "kind": "github",
            "name": "github",
            "client_id": "id",
            "client_secret": "secret",
            "base_url": server.url,
            "api_url": server.url,
        }
        async with running_gateway(tmp_path, identity_providers=[settings]) as rig:
            await rig.add_user("mira", email="mira@example.com")
            for verified, code, status in ((False, "c0de", 403), (True, "wrong", 403), (True, "c0de", 303)):
                github.emails[1]["verified"] = verified
                async with rig.browser() as browser:
                    leaving = urlsplit(
                        (await browser.get("/_auth/federated/github?rd=/")).headers["Location"]
                    )
                    assert leaving.path == "/login/oauth/authorize"
                    state = dict(part.split("=") for part in leaving.query.split("&"))["state"]
                    back = await browser.get(f"/_auth/federated/github/callback?code={code}&state={state}")
                    assert back.status == status, await back.text()
