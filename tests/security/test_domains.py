"""Single sign-on over unrelated domains: a one-time code, for one host and one browser, and policy as everywhere."""

import asyncio
from pathlib import Path
from urllib.parse import quote, urljoin

import pytest
from sqlalchemy import text

from tests.domains_rig import CONFIG, PORTAL, SHOP, WIKI, Traveller
from tests.rig import HTML, csrf_of, running_gateway


async def test_one_sign_in_opens_all_domains_and_the_page_that_was_wanted(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, **CONFIG) as rig, Traveller(rig) as browser:
        await rig.add_user()
        page = await browser.sign_in(WIKI, "/start?x=1")
        assert (page.status, page.url.host) == (200, WIKI)
        assert (await page.json())["path"] == "/start?x=1"
        portals = [one for one in browser.seen if PORTAL in one]
        assert all(
            "/_auth/across" in one or "/_auth/login" in one or "/_auth/verify" in one for one in portals
        )
        shop = await browser.follow(browser.url(SHOP, "/cart"))
        assert (shop.status, shop.url.path) == (200, "/cart")  # without a question
        assert len(rig.codes) == 1


async def test_only_the_host_itself_gets_the_cookie(tmp_path: Path) -> None:
    config = {**CONFIG, "session": {"domain": "example.com"}}
    async with running_gateway(tmp_path, **config) as rig, Traveller(rig) as browser:
        await rig.add_user()
        await browser.sign_in(WIKI, "/")
        assert browser.cookie(WIKI)
        assert not browser.cookie("sister.other.org")
        assert browser.cookie("app.example.com") == browser.cookie(PORTAL) != browser.cookie(WIKI)


async def code_for(browser: Traveller, host: str = WIKI, path: str = "/") -> str:
    """The address with the code, not yet opened; the browser is signed in at the portal."""
    response = await browser.follow(browser.url(host, path), until="/_auth/handoff")
    location = response.headers["Location"]
    assert location.startswith(f"http://{host}:{browser.rig.port}/_auth/handoff?code=")
    return location


async def signed_in(browser: Traveller) -> None:
    await browser.rig.add_user(groups=("staff",))
    await browser.sign_in(PORTAL, "/")


async def test_a_code_is_good_once_however_many_ask(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, **CONFIG) as rig, Traveller(rig) as browser:
        await signed_in(browser)
        where = await code_for(browser)
        statuses = [one.status for one in await asyncio.gather(*(browser.get(where) for _ in range(5)))]
        assert sorted(statuses) == [303, 400, 400, 400, 400]


async def test_a_code_is_good_for_a_minute(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, **CONFIG) as rig, Traveller(rig) as browser:
        await signed_in(browser)
        where = await code_for(browser)
        rig.clock.advance(61)
        assert (await browser.get(where)).status == 400
        assert browser.cookie(WIKI) == ""


async def test_a_code_is_worthless_on_another_host(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, **CONFIG) as rig, Traveller(rig) as browser:
        await signed_in(browser)
        where = await code_for(browser)
        nonce = {"auth_session_nonce": browser.cookie(WIKI, "auth_session_nonce")}
        for host in (SHOP, "sister.other.org", PORTAL):
            browser.session.cookie_jar.update_cookies(nonce, browser.session_url(host))
            response = await browser.get(where.replace(WIKI, host))
            assert response.status == 400
            assert "auth_session=" not in response.headers.get("Set-Cookie", "")
            where = await code_for(browser, path=f"/{host}")


@pytest.mark.parametrize("nonce", ["", "guess"])
async def test_a_stolen_or_planted_code_is_worthless_in_another_browser(tmp_path: Path, nonce: str) -> None:
    async with running_gateway(tmp_path, **CONFIG) as rig, Traveller(rig) as owner, Traveller(rig) as other:
        await signed_in(owner)
        where = await code_for(owner)
        if nonce:
            other.session.cookie_jar.update_cookies({"auth_session_nonce": nonce}, other.session_url(WIKI))
        else:
            await other.get(other.url(WIKI))
        assert (await other.get(where)).status == 400
        assert other.cookie(WIKI) == ""
        assert (await owner.get(where)).status == 400  # and it is used up


async def test_nobody_gets_a_code_for_a_nonce_that_is_not_theirs_into_their_browser(tmp_path: Path) -> None:
    """Login CSRF, both ways: with the attacker's nonce the victim's browser refuses the code."""
    async with running_gateway(tmp_path, **CONFIG) as rig, Traveller(rig) as victim:
        await signed_in(victim)
        async with Traveller(rig) as attacker:
            left = await attacker.follow(attacker.url(WIKI, "/"), until="/_auth/across")
            begun = urljoin(str(left.url), left.headers["Location"])
        response = await victim.get(begun)
        assert (await victim.get(response.headers["Location"])).status == 400


@pytest.mark.parametrize(
    "to",
    [
        "http://evil.test:PORT/",
        "http://other.org.evil.test:PORT/",
        "http://evilother.org:PORT/",
        "http://wiki.other.org@evil.test:PORT/",
        "https://wiki.other.org:PORT/",
        "http://wiki.other.org:1/",
        "//wiki.other.org:PORT/",
        "/",
        "",
        "http://login.example.com:PORT/",
        "http://app.example.com:PORT/",
        "javascript:alert(1)",
        "http://wiki.other.org:PORT\\@evil.test/",
    ],
)
async def test_no_session_leaves_for_anywhere_else(tmp_path: Path, to: str) -> None:
    async with running_gateway(tmp_path, **CONFIG) as rig, Traveller(rig) as browser:
        await signed_in(browser)
        to = quote(to.replace("PORT", str(rig.port)), safe="")
        response = await browser.get(browser.url(PORTAL, f"/_auth/across?to={to}&nonce={'a' * 64}"))
        assert response.status == 400
        assert "Location" not in response.headers


async def test_the_second_factor_is_asked_for_as_the_other_host_says(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, **CONFIG) as rig, Traveller(rig) as browser:
        await rig.add_user()
        page = await browser.sign_in(WIKI, "/low", code=False)
        assert (page.status, page.url.path) == (200, "/low")
        assert rig.codes == []
        page = await browser.follow(browser.url(WIKI, "/high"))
        assert (page.url.host, page.url.path) == (PORTAL, "/_auth/verify")
        assert [one for one in rig.upstream.requests if "high" in one] == []
        response = await browser.submit(page, page.url.query["rd"], code=rig.codes[-1])
        page = await browser.follow(browser.url(PORTAL, response.headers["Location"]))
        assert (page.status, page.url.path) == (200, "/high")


async def test_policy_of_the_other_host_refuses_whom_it_refuses(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, **CONFIG) as rig, Traveller(rig) as browser:
        await rig.add_user()
        await browser.sign_in(PORTAL, "/")
        page = await browser.follow(browser.url(WIKI, "/staff"))
        assert (page.status, page.url.host) == (403, WIKI)
        assert "The Other" in await page.text()


async def test_forward_auth_sends_each_domain_to_its_own_way_out(tmp_path: Path) -> None:
    server = {**CONFIG["server"], "trusted_proxies": ["127.0.0.0/8"]}
    config = {**CONFIG, "server": server, "session": {"domain": "example.com"}}
    async with running_gateway(tmp_path, **config) as rig, Traveller(rig) as browser:
        for host, page in ((WIKI, WIKI), ("app.example.com", f"{PORTAL}:{rig.port}")):
            asked = {"Proto": "http", "Host": host, "Method": "GET", "Uri": "/x"}
            headers = {**HTML, **{f"X-Forwarded-{name}": value for name, value in asked.items()}}
            response = await browser.session.get(
                browser.url(PORTAL, "/_auth/forward"), headers=headers, allow_redirects=False
            )
            assert response.headers["Location"].startswith(f"http://{page}/_auth/login?rd=")


@pytest.mark.parametrize("where", [WIKI, PORTAL])
async def test_signing_out_anywhere_ends_it_everywhere(tmp_path: Path, where: str) -> None:
    async with running_gateway(tmp_path, **CONFIG) as rig, Traveller(rig) as browser:
        await rig.add_user()
        await browser.sign_in(WIKI, "/")
        await browser.follow(browser.url(SHOP, "/"))
        page = await browser.get(browser.url(where, "/_auth/logout"))
        assert csrf_of(await page.text())
        assert (await browser.submit(page, "/")).status == 303
        for host in (WIKI, SHOP, PORTAL):
            form = await browser.follow(browser.url(host, "/"))
            assert form.url.path == "/_auth/login", host


async def test_revocation_ends_what_was_handed_over(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, **CONFIG) as rig, Traveller(rig) as browser:
        await rig.add_user()
        await browser.sign_in(WIKI, "/")
        await rig.gateway.stores.sessions.delete_for_user("alice")
        rig.gateway.sessions.forget_user("alice")
        assert (await browser.get(browser.url(WIKI, "/"))).status == 303


async def test_a_session_that_ended_on_the_way_is_not_handed_over(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, **CONFIG) as rig, Traveller(rig) as browser:
        await signed_in(browser)
        where = await code_for(browser)
        await rig.gateway.stores.sessions.delete_for_user("alice")
        assert (await browser.get(where)).status == 400


async def test_a_cookie_that_never_sticks_ends_in_a_diagnosis(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, **CONFIG) as rig, Traveller(rig) as browser:
        await signed_in(browser)
        for _ in range(3):
            await browser.get(await code_for(browser))
            browser.session.cookie_jar.clear(
                lambda morsel: morsel.key == "auth_session" and "other" in morsel["domain"]
            )
        page = await browser.follow(browser.url(WIKI, "/"))
        assert (page.status, page.url.host) == (409, PORTAL)
        assert "other_host" in await page.text()


async def test_the_store_holds_no_code_and_no_nonce(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, **CONFIG) as rig, Traveller(rig) as browser:
        await signed_in(browser)
        code = (await code_for(browser)).partition("code=")[2]
        async with rig.directory._engine.connect() as connection:
            rows = (await connection.execute(text("SELECT key, value FROM ledger"))).all()
        stored = b"".join(row.key.encode() + (row.value or b"") for row in rows)
        assert code.encode() not in stored
        assert browser.cookie(WIKI, "auth_session_nonce").encode() not in stored


async def test_pages_of_the_portal_are_shown_there_only(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, **CONFIG) as rig, Traveller(rig) as browser:
        for page in ("login", "verify", "enrol", "account", "reset"):
            response = await browser.get(browser.url(WIKI, f"/_auth/{page}"))
            assert response.status == 303
            assert response.headers["Location"].startswith(f"http://{PORTAL}:{rig.port}/_auth/")
        page = await browser.follow(browser.url(WIKI, "/"))
        found = await page.text()
        assert "The Other" in found
        assert "/static/other.org/brand.css" in found
        plain = await browser.get(browser.url(PORTAL, "/_auth/login"))
        assert "The Other" not in await plain.text()
        rest = found.partition('href="/_auth/static/other.org/brand.css')[2].partition('"')[0]
        css = await browser.get(browser.url(PORTAL, "/_auth/static/other.org/brand.css" + rest))
        assert "#aa3311" in await css.text()
