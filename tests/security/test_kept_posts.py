"""A form whose session has ended goes out once, unchanged, for the same user and browser, when confirmed."""

import asyncio
import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pytest
from aiohttp import ClientResponse
from sqlalchemy import text

from tests.rig import Browser, Rig, csrf_of, running_gateway

FORM = b"title=My+long+%C3%A4ssay&secret=hunter2-hunter2&empty="
URLENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=----x7"
UPLOAD = b'------x7\r\nContent-Disposition: form-data; name="f"; filename="a.bin"\r\n\r\n\x00\xff\r\n------x7--\r\n'
WHERE = "/orders/new?step=2"


@asynccontextmanager
async def expired(tmp_path: Path, rd: str = "/", **config: Any) -> AsyncIterator[tuple[Rig, Browser]]:
    """A browser whose session has ended by idleness."""
    async with running_gateway(tmp_path, **config) as rig, rig.browser() as browser:
        await rig.add_user(groups=("staff",))
        await browser.sign_in(rd=rd)
        rig.clock.advance(4000)
        yield rig, browser


async def send(
    browser: Browser, body: bytes = FORM, kind: str = URLENCODED, where: str = WHERE, **headers: str
) -> ClientResponse:
    sent = {
        "Accept": "text/html",
        "Origin": browser.rig.url,
        "Content-Type": kind,
        "Sec-Fetch-Mode": "navigate",
        "Sec-Fetch-Site": "same-origin",
        **headers,
    }
    url = browser.rig.url + where
    return await browser.session.post(
        url, data=body, headers={k: v for k, v in sent.items() if v}, allow_redirects=False
    )


async def kept_at(response: ClientResponse) -> str:
    """Where the kept form is confirmed, from the redirect to the login page; "" if nothing was kept."""
    assert response.status == 303
    rd = unquote(response.headers["Location"].partition("rd=")[2])
    return rd if rd.startswith("/_auth/kept") else ""


async def give_code(browser: Browser, page: str) -> ClientResponse:
    token = await browser.token(f"/_auth/verify?rd={quote(page, safe='')}")
    form = {"code": browser.rig.codes[-1], "csrf_token": token, "rd": page}
    return await browser.post("/_auth/verify", form)


async def confirm(browser: Browser, page: str) -> ClientResponse:
    """Press "Send it now": a text/plain form, as browsers write it; the redirect is not followed."""
    shown = await (await browser.get(page)).text()
    action = re.search(r'action="([^"]*)"', shown)
    id = re.search(r'name="kept" value="([^"]*)"', shown)
    if not action or not id:
        return await browser.get(page)
    body = f"csrf_token={csrf_of(shown)}\r\nkept={id[1]}\r\n".encode()
    return await send(browser, body, "text/plain", action[1].replace("&amp;", "&"))


def release_of(page: str) -> bytes:
    return f"csrf_token=x\r\nkept={page.partition('id=')[2].partition('&')[0]}\r\n".encode()


@pytest.mark.parametrize(("body", "kind"), [(FORM, URLENCODED), (UPLOAD, MULTIPART)], ids=["form", "upload"])
async def test_the_form_arrives_unchanged_after_signing_in_and_confirming(
    tmp_path: Path, body: bytes, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "gateway")
    async with expired(tmp_path) as (rig, browser):
        page = await kept_at(await send(browser, body, kind))
        assert rig.upstream.requests == []
        response = await browser.password(rd=page)
        assert response.headers["Location"].startswith("/_auth/verify")
        assert (await give_code(browser, page)).headers["Location"] == page
        redirect = await confirm(browser, page)
        assert (redirect.status, redirect.headers["Location"]) == (307, WHERE)
        assert rig.upstream.requests == []
        seen = await (await send(browser, release_of(page), "text/plain")).json()
        headers = {name.lower(): value for name, value in seen["headers"]}
        assert (seen["method"], seen["path"], seen["body"]) == ("POST", WHERE, body.decode("latin-1"))
        assert headers["content-type"] == kind
        assert headers["content-length"] == str(len(body))
        assert "_kept" not in headers.get("cookie", "")
        assert '"event": "post_kept"' in caplog.text
        assert '"event": "post_replayed"' in caplog.text
        assert "hunter2" not in caplog.text


async def test_it_rests_encrypted(tmp_path: Path) -> None:
    async with expired(tmp_path) as (rig, browser):
        assert await kept_at(await send(browser))
        engine = rig.directory._engine
        async with engine.connect() as connection:
            rows = (await connection.execute(text("SELECT value FROM ledger"))).all()
        assert all(b"hunter2" not in (row.value or b"") for row in rows)


HOSTILE = {
    "another site": {"Origin": "https://evil.test", "Sec-Fetch-Site": "cross-site"},
    "another origin of the same site": {"Origin": "http://other.127.0.0.1", "Sec-Fetch-Site": "same-site"},
    "a browser that contradicts itself": {"Sec-Fetch-Site": "same-site"},
    "a sandboxed page": {"Origin": "null"},
    "no word of where it is from": {"Origin": ""},
    "a script": {"Sec-Fetch-Mode": "cors"},
    "a compressed body": {"Content-Encoding": "gzip"},
}


@pytest.mark.parametrize("case", HOSTILE)
async def test_no_other_page_can_plant_a_form(tmp_path: Path, case: str) -> None:
    async with expired(tmp_path) as (_, browser):
        response = await send(browser, **HOSTILE[case])
        assert response.status in (303, 401)
        assert "kept" not in response.headers.get("Location", "")


async def test_nothing_is_kept_without_a_session_that_ended_lately(tmp_path: Path) -> None:
    async with expired(tmp_path) as (rig, browser):
        async with rig.browser() as stranger:
            assert await kept_at(await send(stranger)) == ""
            await stranger.token("/_auth/login")  # a visitor's cookie says nobody's name
            assert await kept_at(await send(stranger)) == ""
            forged = {"Cookie": f"auth_session={browser.cookie()[:-4]}AAAA"}
            assert await kept_at(await send(stranger, **forged)) == ""
        rig.clock.advance(3 * 86400)
        assert await kept_at(await send(browser)) == ""


@pytest.mark.parametrize(
    ("setting", "size", "kept"),
    [("1KiB", 1024, True), ("1KiB", 1025, False), (0, 10, False), ("256KiB", 200_000, True)],
)
async def test_what_is_kept_has_a_limit(tmp_path: Path, setting: object, size: int, kept: bool) -> None:
    async with expired(tmp_path, session={"keep_posts": setting}) as (_, browser):
        assert bool(await kept_at(await send(browser, b"a=" + b"x" * (size - 2)))) is kept


async def test_a_user_fills_only_so_much_storage(tmp_path: Path) -> None:
    async with expired(tmp_path) as (_, browser):
        kept = [bool(await kept_at(await send(browser))) for _ in range(22)]
        assert kept == [True] * 20 + [False] * 2


async def test_another_user_of_the_browser_can_not_send_it(tmp_path: Path) -> None:
    async with expired(tmp_path) as (rig, browser):
        page = await kept_at(await send(browser))
        await rig.add_user("mallory", phone="+4915112345679", groups=("staff",))
        await browser.sign_in("mallory")
        assert (await browser.get(page)).status == 410
        assert (await send(browser, release_of(page), "text/plain")).status == 409
        assert rig.upstream.requests == []


async def test_another_user_can_not_send_what_its_user_has_confirmed(tmp_path: Path) -> None:
    async with expired(tmp_path) as (rig, browser):
        page = await kept_at(await send(browser))
        await browser.sign_in()
        assert (await confirm(browser, page)).status == 307
        await rig.add_user("mallory", phone="+4915112345679", groups=("staff",))
        rig.clock.advance(31)  # the pause between two codes
        browser.session.cookie_jar.clear(lambda cookie: cookie.key == "auth_session")
        await browser.sign_in("mallory")
        rig.upstream.requests.clear()
        assert (await send(browser, release_of(page), "text/plain")).status == 409
        assert rig.upstream.requests == []


async def test_another_browser_can_not_send_it(tmp_path: Path) -> None:
    async with expired(tmp_path) as (rig, browser), rig.browser() as other:
        page = await kept_at(await send(browser))
        await browser.sign_in()
        await confirm(browser, page)
        await other.sign_in()
        other.session.cookie_jar.update_cookies({"auth_session_kept": "guess"})
        assert (await other.get(page)).status == 410
        assert (await send(other, release_of(page), "text/plain")).status == 409
        assert rig.upstream.requests == []


async def test_it_is_not_sent_unless_confirmed_with_the_token(tmp_path: Path) -> None:
    async with expired(tmp_path) as (rig, browser):
        page = await kept_at(await send(browser))
        await browser.sign_in()
        assert (await send(browser, release_of(page), "text/plain")).status == 409
        assert (await send(browser, release_of(page), "text/plain", page)).status == 303  # token is "x"
        foreign = await send(browser, release_of(page), "text/plain", page, Origin="https://evil.test")
        assert foreign.status == 403
        assert rig.upstream.requests == []


async def test_it_goes_out_once_however_many_ask_at_once(tmp_path: Path) -> None:
    async with expired(tmp_path) as (rig, browser):
        page = await kept_at(await send(browser))
        await browser.sign_in()
        confirmed = [r.status for r in await asyncio.gather(*(confirm(browser, page) for _ in range(4)))]
        assert confirmed.count(307) == 1
        sent = [send(browser, release_of(page), "text/plain") for _ in range(4)]
        assert sorted([r.status for r in await asyncio.gather(*sent)]) == [200, 409, 409, 409]
        assert rig.upstream.requests == [f"POST {WHERE}"]


async def test_it_goes_only_where_it_was_meant_to_go(tmp_path: Path) -> None:
    async with expired(tmp_path) as (rig, browser):
        page = await kept_at(await send(browser))
        await browser.sign_in()
        assert (await confirm(browser, page.replace("orders", "transfers"))).headers["Location"] == WHERE
        assert (await send(browser, release_of(page), "text/plain", "/transfers/new")).status == 409
        assert rig.upstream.requests == []


async def test_policy_is_asked_again_when_it_is_sent(tmp_path: Path) -> None:
    routes = [
        {"path": "/orders", "upstream": "UPSTREAM", "policy": {"groups": ["staff"]}},
        {"path": "/", "upstream": "UPSTREAM", "policy": {"require": "one_factor"}},
    ]
    async with expired(tmp_path, "/orders", routes=routes) as (rig, browser):
        page = await kept_at(await send(browser))
        response = await browser.password(rd=page)
        assert response.headers["Location"].startswith(
            "/_auth/verify"
        )  # what /orders asks for, not what / does
        assert (await browser.get(page)).headers["Location"].startswith("/_auth/verify")
        assert (await give_code(browser, page)).headers["Location"] == page
        assert (await confirm(browser, page)).status == 307
        user = await rig.directory.get("alice")
        assert user is not None
        await rig.directory.replace(replace(user, groups=()))
        rig.gateway.sessions.forget_user("alice")
        assert (await send(browser, release_of(page), "text/plain")).status == 403
        assert rig.upstream.requests == []


async def test_it_is_kept_for_ten_minutes_and_can_be_thrown_away(tmp_path: Path) -> None:
    async with expired(tmp_path) as (rig, browser):
        first, second = await kept_at(await send(browser)), await kept_at(await send(browser))
        await browser.sign_in()
        shown = await (await browser.get(first)).text()
        id = first.partition("id=")[2].partition("&")[0]
        body = f"csrf_token={csrf_of(shown)}\r\ndiscard={id}\r\n".encode()
        assert (await send(browser, body, "text/plain", first)).status == 303
        assert (await browser.get(first)).status == 410
        assert (await browser.get(second)).status == 200
        rig.clock.advance(601)
        assert (await browser.get(second)).status == 410


async def test_forms_of_apps_in_plain_text_still_reach_them(tmp_path: Path) -> None:
    async with expired(tmp_path) as (_, browser):
        await send(browser)
        await browser.sign_in()
        seen = await (await send(browser, b"note=hello\r\n", "text/plain")).json()
        assert seen["body"] == "note=hello\r\n"


@pytest.mark.parametrize("origin", ["https://evil.test", "null", ""])
async def test_a_released_form_goes_out_for_our_own_page_only(tmp_path: Path, origin: str) -> None:
    """Between the user's yes and the browser's next request, another site may race with a form of its own."""
    async with expired(tmp_path) as (rig, browser):
        page = await kept_at(await send(browser))
        await browser.password(rd=page)
        await give_code(browser, page)
        assert (await confirm(browser, page)).status == 307
        sent = len(rig.upstream.requests)
        response = await send(browser, release_of(page), "text/plain", Origin=origin)
        assert response.status == 409
        assert len(rig.upstream.requests) == sent
