"""A sole provider is gone to at once, the password form hidden where wished: and always a way back to our own page."""

import re
from html import unescape
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import aiohttp

from tests.federation_trip import MIRA, ONE_FACTOR, at_provider, auto, back, led, onward, sign_out, signed_in
from tests.programmable_provider import ProgrammableProvider, provider_and_gateway
from tests.rig import PASSWORD, csrf_of, running_gateway


async def test_the_only_provider_is_gone_to_at_once_and_programs_get_401(tmp_path: Path) -> None:
    async with auto(tmp_path) as (_, provider, browser):
        refused = await browser.get("/wiki", Accept="application/json")
        assert refused.status == 401
        assert (await refused.json())["login_url"].endswith("/_auth/login")
        where = (await browser.get("/wiki?a=1&b=%22x%22")).headers["Location"]
        way = await led(browser, where)
        assert way.startswith("/_auth/federated/corp?rd=")
        asked = await at_provider(browser, provider, way)
        assert asked["ui_locales"] == "en"
        assert (await back(browser, asked)).headers["Location"] == "/wiki?a=1&b=%22x%22"
        assert (await browser.get("/wiki")).status == 200


async def test_our_own_page_is_shown_to_who_asks_for_it_and_in_frames(tmp_path: Path) -> None:
    async with auto(tmp_path, federation={"password_form": "hidden"}) as (_, _, browser):
        for page, headers in (
            ("/_auth/login?rd=/wiki&local=1", {}),
            ("/_auth/login?rd=/wiki&auto=0", {}),
            ("/_auth/login?rd=/wiki", {"Sec-Fetch-Dest": "iframe"}),
        ):
            answer = await browser.get(page, **headers)
            text = await answer.text()
            assert not onward(text), page
            assert 'href="/_auth/federated/corp?rd=/wiki"' in text
            assert ('name="password"' in text) is ("local" in page)
            assert "data-autofill" not in text.replace("local=1", "") or "local" in page
        assert await led(browser, **{"Sec-Fetch-Dest": "document"})


async def test_an_address_that_is_not_ours_is_not_taken_along(tmp_path: Path) -> None:
    async with auto(tmp_path) as (_, _, browser):
        for rd in ("https://evil.test/", "//evil.test", "javascript:alert(1)", '"><script>'):
            assert await led(browser, "/_auth/login?" + urlencode({"rd": rd})) == "/_auth/federated/corp?rd=/"


async def test_after_signing_out_our_page_waits_until_somebody_chooses(tmp_path: Path) -> None:
    async with auto(tmp_path) as (_, provider, browser):
        await signed_in(browser, provider)
        assert (await sign_out(browser, "/wiki")).headers["Location"] == "/wiki"
        where = (await browser.get("/wiki")).headers["Location"]
        for _ in range(2):
            assert not await led(browser, where)
        await signed_in(browser, provider)
        await browser.rig.gateway.stores.sessions.delete_for_user("mira")
        browser.rig.gateway.sessions.forget_user("mira")
        assert await led(browser, (await browser.get("/wiki")).headers["Location"])


async def test_a_refusal_of_the_provider_is_a_page_with_a_reason_and_buttons(tmp_path: Path) -> None:
    async with auto(tmp_path) as (_, provider, browser):
        asked = await at_provider(browser, provider, await led(browser))
        refused = await back(browser, asked, error="access_denied")
        text = await refused.text()
        assert refused.status == 403
        assert not onward(text)
        links = [unescape(link) for link in re.findall(r'class="button wide[^"]*" href="([^"]*)"', text)]
        assert links == ["/_auth/federated/corp?rd=/wiki", "/_auth/login?rd=/wiki&auto=0"]
        assert not await led(browser, links[1])


async def test_while_the_only_way_is_away_nobody_is_sent_to_a_password_that_is_hidden(tmp_path: Path) -> None:
    away = {
        "kind": "oidc",
        "name": "corp",
        "issuer": "http://127.0.0.1:9",
        "client_id": "x",
        "client_secret": "y",
    }
    hidden = {"auto": True, "password_form": "hidden"}
    async with (
        running_gateway(
            tmp_path, identity_providers=[away], federation=hidden, webauthn={"passwordless": False}
        ) as rig,
        rig.browser() as browser,
    ):
        await rig.add_user()
        answer = await browser.get(await led(browser))
        text = await answer.text()
        assert answer.status == 503
        assert "password" not in text
        assert "Try again" in text
        assert "Sign in another way" not in text
        page = "/_auth/login?local=1&rd=/wiki"  # which operators know
        form = {
            "username": "alice",
            "password": PASSWORD,
            "csrf_token": await browser.token(page),
            "rd": "/wiki",
        }
        assert (await browser.post(page, form)).status == 303
        assert (await browser.code(rd="/wiki")).headers["Location"] == "/wiki"
        assert (await browser.get("/wiki")).status == 200


async def test_where_only_a_password_helps_its_form_is_there(tmp_path: Path) -> None:
    """Nor is anybody sent to the provider again whose word did not suffice."""
    routes = [{**ONE_FACTOR[0], "policy": {"require": "one_factor", "factors": ["password"]}}]
    async with auto(tmp_path, federation={"password_form": "hidden"}, routes=routes) as (
        _,
        provider,
        browser,
    ):
        asked = await at_provider(browser, provider, await led(browser))
        await back(browser, asked)
        answer = await browser.get((await browser.get("/wiki")).headers["Location"])
        text = await answer.text()
        assert not onward(text)
        assert 'name="password"' in text


async def test_a_form_that_was_kept_survives_the_trip(tmp_path: Path) -> None:
    async with auto(tmp_path) as (rig, provider, browser):
        await signed_in(browser, provider)
        rig.clock.advance(4000)
        kept = await browser.session.post(
            f"{rig.url}/orders?step=2",
            data=b"a=1&secret=hunter2",
            headers={
                "Accept": "text/html",
                "Origin": rig.url,
                "Content-Type": "application/x-www-form-urlencoded",
                "Sec-Fetch-Mode": "navigate",
                "Sec-Fetch-Site": "same-origin",
            },
            allow_redirects=False,
        )
        way = await led(browser, kept.headers["Location"])
        question = (await back(browser, await at_provider(browser, provider, way))).headers["Location"]
        assert question.startswith("/_auth/kept?id=")
        text = await (await browser.get(question)).text()
        id, token = re.search(r'name="kept" value="([^"]*)"', text), csrf_of(text)
        assert id is not None
        headers = {"Content-Type": "text/plain", "Origin": rig.url, "Accept": "text/html"}
        form = f"csrf_token={token}\r\nkept={id[1]}\r\n".encode()
        sent = await browser.session.post(
            rig.url + question, data=form, headers=headers, allow_redirects=False
        )
        assert (sent.status, sent.headers["Location"]) == (307, "/orders?step=2")
        arrived = await browser.session.post(rig.url + sent.headers["Location"], data=form, headers=headers)
        assert (await arrived.json())["body"] == "a=1&secret=hunter2"


async def test_a_session_that_never_holds_does_not_go_round_for_ever(tmp_path: Path) -> None:
    async with auto(tmp_path) as (rig, provider, browser):
        for _ in range(3):
            await signed_in(browser, provider)
            await rig.gateway.stores.sessions.delete_for_user("mira")
            rig.gateway.sessions.forget_user("mira")
        assert (await browser.get("/_auth/login?rd=/wiki")).status == 409
        for _ in range(3):
            await signed_in(browser, provider)
        asked = await at_provider(browser, provider, "/_auth/federated/corp?rd=/wiki")
        assert (await back(browser, asked)).status == 409  # also where the sign-in page is on another host


async def test_of_several_providers_the_one_of_the_hints_domain_is_gone_to(tmp_path: Path) -> None:
    secrets = {"client_id": "x", "client_secret": "y"}
    corp, partner, github = (
        {
            "kind": "oidc",
            "name": "corp",
            "issuer": "http://127.0.0.1:9",
            "domains": ["example.com"],
            **secrets,
        },
        {
            "kind": "oidc",
            "name": "partner",
            "issuer": "http://127.0.0.1:9/p",
            "domains": ["partner.test"],
            **secrets,
        },
        {"kind": "github", "name": "github", **secrets},
    )
    providers = [corp, partner, github]
    async with (
        running_gateway(tmp_path, identity_providers=providers, federation={"auto": True}) as rig,
        rig.browser() as browser,
    ):
        for hint, name in (
            ("mira@partner.test", "partner"),
            ("mira@EXAMPLE.com", "corp"),
            ("mira@other.test", ""),
            ("partner.test", ""),
            ("mira", ""),
            ("", ""),
        ):
            way = await led(browser, "/_auth/login?" + urlencode({"rd": "/wiki", "login_hint": hint}))
            assert urlsplit(way).path == (f"/_auth/federated/{name}" if name else "")
            if name:
                assert parse_qs(urlsplit(way).query)["login_hint"] == [hint]


async def test_who_sets_out_from_another_host_comes_back_to_it(tmp_path: Path) -> None:
    async with provider_and_gateway(
        tmp_path,
        ProgrammableProvider(id_token=dict(MIRA)),
        sections={
            "server": {"public_url": "http://login.app.test:PORT"},
            "session": {"domain": "app.test"},
            "routes": [{"host": "wiki.app.test", "upstream": "UPSTREAM"}],
        },
    ) as (rig, provider):
        await rig.add_user("mira", email="mira@example.com")
        async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as web:
            leaving = await web.get(
                f"{rig.url}/_auth/federated/corp?rd=/wiki",
                headers={"Host": f"wiki.app.test:{rig.port}"},
                allow_redirects=False,
            )
            asked = provider.begun(leaving.headers["Location"])
            cookie = leaving.headers["Set-Cookie"].partition(";")[0]
            answer = await web.get(
                f"{rig.url}/_auth/federated/corp/callback?code=the-code&state={asked['state']}",
                headers={"Host": f"login.app.test:{rig.port}", "Cookie": cookie},
                allow_redirects=False,
            )
        assert answer.status == 303, await answer.text()
        assert parse_qs(urlsplit(answer.headers["Location"]).query)["rd"] == [
            f"http://wiki.app.test:{rig.port}/wiki"
        ]
