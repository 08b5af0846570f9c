"""A token that a user makes opens no more than its user, proves one factor, and dies with the account's troubles."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.directory.base import WritableDirectory
from gateway.stores.protocols.tokens import ApiToken
from tests.rig import Browser, Rig, running_gateway
from tests.security.test_service_accounts import until_refused
from tests.service_accounts_rig import basic, get, route, seen_headers
from tests.waiting import until

PAGE = "/_auth/tokens"
ROUTES = [
    route("/one", "one_factor", tokens=True),
    route("/machine", "two_factor", tokens=True, policy={"machine_suffices": True}),
    route("/two", "two_factor", tokens=True),
    route("/staff", "one_factor", tokens=True, policy={"groups": ["staff"]}),
    route("/closed", "one_factor", basic=True),
    route("/free", "bypass"),
]


@asynccontextmanager
async def rig_with_tokens(folder: Path, **settings: Any) -> AsyncIterator[tuple[Rig, Browser]]:
    """alice has signed in with two factors."""
    section = {"enabled": True, **settings}
    async with (
        running_gateway(folder, routes=ROUTES, user_tokens=section, email={"provider": "console"}) as rig,
        rig.browser() as browser,
    ):
        await rig.add_user(email="alice@example.com")
        await browser.sign_in(rd="/_auth/account")
        rig.clock.advance(1)
        yield rig, browser


async def ask_for(browser: Browser, *paths: str, **changes: str) -> tuple[int, str]:
    """Status and page."""
    form = {"csrf_token": await browser.token(PAGE), "do": "make", "name": "backup", "days": "7"}
    form |= {f"route:*{path}": "on" for path in paths} | changes
    response = await browser.post(PAGE, form)
    return response.status, await response.text()


async def made(browser: Browser, *paths: str, **changes: str) -> str:
    status, page = await ask_for(browser, *(paths or ("/one",)), **changes)
    found = re.search(r"agt_[0-9a-f]{16}_[\w-]{43}", page)
    assert status == 200, page
    assert found
    return found[0]


async def owned(rig: Rig) -> list[ApiToken]:
    return list(await rig.gateway.stores.tokens.owned("alice"))


async def test_a_token_acts_as_its_user_as_bearer_or_password_and_never_reaches_the_app(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    async with rig_with_tokens(tmp_path) as (rig, browser):
        token = await made(browser)
        for shown in (f"Bearer {token}", basic("Alice", token)):
            status, body = await get(rig, "/one", shown)
            assert status == 200
            assert seen_headers(body)["remote-user"] == "alice"
            assert token not in str(body)
            assert "authorization" not in seen_headers(body)
        for wrong in ("bob", ""):
            assert (await get(rig, "/one", basic(wrong, token)))[0] == 401
        for shown in (f"Bearer {token}", basic("alice", token)):
            status, body = await get(rig, "/free", shown)
            assert "authorization" not in seen_headers(body)
        assert token not in await (await browser.get(PAGE)).text()
        assert token.split("_", 2)[2] not in caplog.text + rig.terminal.getvalue()
        assert "An access token was made: backup." in rig.terminal.getvalue()
        assert "token_added" in caplog.text


async def test_rule_10_a_token_made_with_two_factors_still_proves_only_one(tmp_path: Path) -> None:
    async with rig_with_tokens(tmp_path) as (rig, browser):
        token = await made(browser, "/one", "/machine")
        shown = f"Bearer {token}"
        assert (await get(rig, "/machine", shown))[0] == 200
        store = rig.gateway.stores.tokens
        (one,) = await owned(rig)
        await store.revoke_owned("alice", rig.clock())
        await store.add(replace(one, routes=("*/two",)))
        rig.clock.advance(61)  # what is remembered of it says otherwise
        before = len(rig.upstream.requests)
        assert (await get(rig, "/two", shown))[0] == 401
        assert (await get(rig, "/two", basic("alice", token)))[0] == 401
        assert len(rig.upstream.requests) == before


@pytest.mark.parametrize(
    ("paths", "changes"),
    [
        (("/staff",), {}),  # not for alice
        (("/two",), {}),  # a token alone never opens it
        (("/closed",), {}),  # takes no tokens
        (("/one", "/nowhere"), {}),
        ((), {}),
        (("/one",), {"days": "365"}),
        (("/one",), {"days": ""}),
        (("/one",), {"name": " "}),
        (("/one",), {"name": "x" * 61}),
    ],
)
async def test_only_what_is_offered_can_be_had(
    tmp_path: Path, paths: tuple[str, ...], changes: dict[str, str]
) -> None:
    async with rig_with_tokens(tmp_path) as (rig, browser):
        assert (await ask_for(browser, *paths, **changes))[0] == 422
        assert await owned(rig) == []


async def test_the_operator_says_for_how_long_and_how_many(tmp_path: Path) -> None:
    async with rig_with_tokens(tmp_path, longest="30d", per_user=2) as (rig, browser):
        assert (await ask_for(browser, "/one", days="90"))[0] == 422
        token = await made(browser, days="30")
        await made(browser, name="another")
        assert (await ask_for(browser, "/one"))[0] == 422
        assert len(await owned(rig)) == 2
        rig.clock.advance(30 * 86400)
        assert (await get(rig, "/one", f"Bearer {token}"))[0] == 401


async def test_the_last_place_is_given_once(tmp_path: Path) -> None:
    async with rig_with_tokens(tmp_path, per_user=1) as (rig, browser):
        form = {
            "csrf_token": await browser.token(PAGE),
            "do": "make",
            "name": "x",
            "days": "7",
            "route:*/one": "on",
        }
        answers = await asyncio.gather(*(browser.post(PAGE, form) for _ in range(4)))
        assert sorted(answer.status for answer in answers)[0] == 200
        assert len(await owned(rig)) == 1


async def test_making_needs_two_factors_proven_just_now_and_a_form_of_ours(tmp_path: Path) -> None:
    async with rig_with_tokens(tmp_path) as (rig, browser), rig.browser() as stranger, rig.browser() as half:
        form = {
            "csrf_token": await browser.token(PAGE),
            "do": "make",
            "name": "x",
            "days": "7",
            "route:*/one": "on",
        }
        assert (await browser.post(PAGE, form | {"csrf_token": "wrong"})).status == 403
        assert (await browser.post(PAGE, form, Origin="https://evil.example")).status == 403
        assert (await stranger.get(PAGE)).headers["Location"] == f"/_auth/login?rd={PAGE}"
        await half.password()
        assert (await half.post(PAGE, form)).headers["Location"] == f"/_auth/verify?rd={PAGE}"
        rig.clock.advance(901)
        assert (await browser.post(PAGE, form)).headers["Location"] == f"/_auth/verify?rd={PAGE}"
        assert await owned(rig) == []


@pytest.mark.parametrize("how", ["disabled", "deleted", "password", "revoked", "factors reset"])
async def test_a_token_that_was_right_a_moment_ago_ends_with_what_matters(how: str, tmp_path: Path) -> None:
    """Time stands still from the change on, so nothing but its news can end what is remembered."""
    async with rig_with_tokens(tmp_path) as (rig, browser):
        shown = f"Bearer {await made(browser)}"
        assert (await get(rig, "/one", shown))[0] == 200
        rig.clock.advance(1)
        await _trouble(how, rig, rig.directory, browser)
        await until_refused(rig, shown)


async def _trouble(how: str, rig: Rig, directory: WritableDirectory, browser: Browser) -> None:
    user = await directory.get("alice")
    assert user
    if how == "disabled":
        await directory.replace(replace(user, disabled=True))
    elif how == "deleted":
        await directory.delete("alice")
    elif how == "password":
        await directory.set_password("alice", "staple walnut orbit")
    elif how == "revoked":
        (one,) = await owned(rig)
        form = {"csrf_token": await browser.token(PAGE), "do": "end", "id": one.id}
        assert (await browser.post(PAGE, form)).status == 303
    else:
        assert await rig.gateway.stores.tokens.revoke_owned("alice", rig.clock()) == 1


async def test_a_former_users_token_does_not_open_the_account_of_a_namesake(tmp_path: Path) -> None:
    """Also where the directory could not tell us that the first one was deleted."""
    async with rig_with_tokens(tmp_path) as (rig, browser):
        shown = f"Bearer {await made(browser)}"
        (one,) = await owned(rig)
        rig.clock.advance(61)
        await rig.directory.delete("alice")
        await rig.add_user()
        await rig.gateway.stores.tokens.add(one)
        assert (await get(rig, "/one", shown))[0] == 401


async def test_groups_are_those_of_today_and_methods_hold(tmp_path: Path) -> None:
    async with rig_with_tokens(tmp_path) as (rig, browser):
        alice = await rig.directory.get("alice")
        assert alice
        await rig.directory.replace(replace(alice, groups=("staff",)))
        shown = f"Bearer {await made(browser, '/staff', reading='on')}"
        assert (await get(rig, "/staff", shown))[0] == 200
        assert (await get(rig, "/staff", shown, "POST"))[0] == 403
        assert (await get(rig, "/one", shown))[0] == 403
        await rig.directory.replace(replace(alice, groups=()))

        async def refused() -> bool:
            return (await get(rig, "/staff", shown))[0] == 403

        await until(refused)


async def test_nobody_ends_the_token_of_another(tmp_path: Path) -> None:
    async with rig_with_tokens(tmp_path) as (rig, browser), rig.browser() as eve:
        await made(browser)
        (one,) = await owned(rig)
        await rig.add_user("eve", phone="+4915112345679")
        await eve.sign_in("eve", rd=PAGE)
        form = {"csrf_token": await eve.token(PAGE), "do": "end", "id": one.id}
        assert one.id not in await (await eve.get(PAGE)).text()
        assert (await eve.post(PAGE, form)).status == 409
        assert len(await owned(rig)) == 1


async def test_switched_off_there_is_no_page_and_no_token_counts(tmp_path: Path) -> None:
    async with rig_with_tokens(tmp_path) as (rig, browser):
        shown = f"Bearer {await made(browser)}"
        assert (await get(rig, "/one", shown))[0] == 200
    async with running_gateway(tmp_path, routes=ROUTES) as rig, rig.browser() as browser:
        assert (await get(rig, "/one", shown))[0] == 401
        assert (await browser.get(PAGE)).status == 404
