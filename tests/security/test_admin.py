"""The admin console and its API: who comes in, and what not even administrators can do."""

from pathlib import Path

import aiohttp

from gateway.model import User
from tests.admin_rig import ADMIN, API, add_token, administered, api
from tests.rig import Rig, running_gateway

ADDRESSES = (
    "",
    "/users",
    "/user?name=bob",
    "/nothing-here",
    "/audit/export",
    "/api/v1/users",
    "/api/v1/nothing",
)


async def test_strangers_sign_in_and_others_learn_nothing_of_what_exists(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user()
        for address in ADDRESSES[:4]:
            response = await browser.get(ADMIN + address)
            assert response.status == 303, address
            assert response.headers["Location"].startswith("/_auth/login?rd=/_auth/admin")
        await browser.sign_in()
        answers = set()
        for address in ADDRESSES[:5]:
            response = await browser.get(ADMIN + address)
            answers.add((response.status, "alice" in await response.text(), response.content_type))
        assert len(answers) == 1
        assert answers.pop()[0] == 403
        assert {(await browser.get(ADMIN + address)).status for address in ADDRESSES[5:]} == {403}
        assert (await browser.post(ADMIN + "/users", {"do": "add"})).status == 403


async def test_one_factor_or_an_old_one_is_not_enough(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user(groups=("admins",))
        await browser.password(rd=ADMIN)
        response = await browser.get(ADMIN + "/users")
        assert response.headers["Location"] == "/_auth/verify?rd=/_auth/admin/users"
        assert (await browser.get(API + "/users", Accept="*/*")).status == 401
        assert (await browser.code(rd=ADMIN + "/users")).headers["Location"] == ADMIN + "/users"
        assert (await browser.get(ADMIN + "/users")).status == 200
        rig.clock.advance(901)
        assert (await browser.get(ADMIN + "/users")).headers["Location"].startswith("/_auth/verify")
        assert (
            (await browser.post(ADMIN + "/users", {"do": "add"}))
            .headers["Location"]
            .startswith("/_auth/verify")
        )
        assert (await browser.get(API + "/users", Accept="*/*")).status == 401
        assert (await browser.code(rd=ADMIN)).headers["Location"] == ADMIN


async def test_a_shorter_max_age_and_networks_hold(tmp_path: Path) -> None:
    strict = {"max_age": 60.0, "networks": ["127.0.0.0/8"], "groups": ["root"]}
    async with running_gateway(tmp_path, admin=strict) as rig, rig.browser() as browser:
        await rig.add_user(groups=("root",))
        await browser.sign_in(rd=ADMIN)
        assert (await browser.get(ADMIN)).status == 200
        rig.clock.advance(61)
        assert (await browser.get(ADMIN)).headers["Location"] == f"/_auth/verify?rd={ADMIN}"
        assert (
            await browser.get(f"/_auth/verify?rd={ADMIN}")
        ).status == 200  # asks, and does not send us round
    async with running_gateway(tmp_path / "b", admin={"networks": ["10.0.0.0/8"]}) as rig:
        await rig.add_user(groups=("admins",))
        token = await add_token(rig, "admin:read")
        async with rig.browser() as browser, aiohttp.ClientSession() as client:
            await browser.sign_in()
            assert (await browser.get(ADMIN)).status == 403
            assert (await api(client, rig, "GET", "/users", token))[0] == 403


async def test_forms_need_their_token_and_our_origin(tmp_path: Path) -> None:
    async with administered(tmp_path) as (rig, browser):
        form = {"do": "disable"}
        assert (await browser.post(ADMIN + "/user?name=bob", form)).status == 403
        assert (await browser.post(ADMIN + "/user?name=bob", {**form, "csrf_token": "x"})).status == 403
        token = await browser.token(ADMIN + "/users")
        answer = await browser.post(
            ADMIN + "/user?name=bob", {**form, "csrf_token": token}, Origin="https://evil.test"
        )
        assert answer.status == 403
        assert not (await bob(rig)).disabled


async def bob(rig: Rig) -> User:
    user = await rig.directory.get("bob")
    assert user
    return user


async def test_the_api_needs_the_csrf_header_of_the_session(tmp_path: Path) -> None:
    async with administered(tmp_path) as (rig, browser):
        url = rig.url + API
        me = await (await browser.get(API + "/me", Accept="*/*")).json()
        good = {"X-CSRF-Token": me["csrf_token"], "Origin": rig.url}
        for headers in ({}, {**good, "Origin": "https://evil.test"}, {**good, "X-CSRF-Token": "x"}):
            answer = await browser.session.delete(url + "/users/bob", headers=headers)
            assert answer.status == 403
        assert await rig.directory.get("bob")
        assert (await browser.session.delete(url + "/users/bob", headers=good)).status == 204


async def test_the_api_takes_nothing_that_a_plain_form_can_send(tmp_path: Path) -> None:
    async with administered(tmp_path) as (rig, _), aiohttp.ClientSession() as client:
        token = await add_token(rig, "admin:write")
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""):
            headers = {**token, "Content-Type": kind}
            answer = await api(client, rig, "POST", "/users", headers, data=b'{"username": "eve"}')
            assert answer[0] == 415, kind
        assert await rig.directory.get("eve") is None


async def test_tokens_do_what_their_scope_says(tmp_path: Path) -> None:
    async with administered(tmp_path) as (rig, _), aiohttp.ClientSession() as client:
        reads = await add_token(rig, "admin:read")
        writes = await add_token(rig, "admin:write", name="w", id="a" * 16)
        none = await add_token(rig, name="n", id="b" * 16)
        looks = await add_token(rig, "admin:write", name="l", id="c" * 16, methods=("GET",))
        assert (await api(client, rig, "DELETE", "/users/bob", looks))[0] == 403
        assert (await api(client, rig, "GET", "/users", reads))[0] == 200
        assert (await api(client, rig, "DELETE", "/users/bob", reads))[0] == 403
        assert (await api(client, rig, "GET", "/users", writes))[0] == 403
        for path in ("/users", "/nothing"):
            assert (await api(client, rig, "GET", path, none))[0] == 403
        for wrong in ("Bearer agt_0_x", "Bearer other", "Basic YWxpY2U6eA=="):
            status, body, headers = await api(client, rig, "GET", "/users", {"Authorization": wrong})
            assert (status, body["status"]) == (401, 401)
            assert headers["WWW-Authenticate"].startswith("Bearer")
        assert (await client.get(rig.url + ADMIN, headers=reads)).status in (401, 403)  # pages are for people
        assert (await api(client, rig, "DELETE", "/users/bob", writes))[0] == 204


FOREIGN = (
    {"password_hash": "x"},
    {"username": "eve"},
    {"created_at": 1},
    {"groups": "admins"},
    {"disabled": "no"},
    {"name": 1},
    {"groups": [["admins"]]},
    [],
    "x",
    {"name": "a", "is_admin": True},
)
