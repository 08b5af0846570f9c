"""Rule 10: no path gives a two-factor route to a session that has only one."""

from pathlib import Path

from tests.rig import running_gateway

ONE_AND_TWO = [
    {"host": "*", "path": "/one", "upstream": "UPSTREAM", "policy": {"require": "one_factor"}},
    {"host": "*", "path": "/", "upstream": "UPSTREAM", "policy": {"require": "two_factor"}},
]


def routes() -> list[dict[str, object]]:
    return [dict(route) for route in ONE_AND_TWO]


async def test_a_password_alone_opens_one_factor_routes_only(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, routes=routes()) as rig, rig.browser() as browser:
        await rig.add_user()
        response = await browser.password(rd="/one/x")
        assert response.headers["Location"] == "/one/x"
        assert (await browser.get("/one/x")).status == 200
        for headers in ({}, {"Accept": "*/*"}, {"X-Original-URL": "/one"}, {"X-HTTP-Method-Override": "GET"}):
            response = await browser.get("/two", **headers)
            assert response.status in (303, 401)
        assert rig.upstream.requests == ["GET /one/x"]


async def test_websockets_and_scripts_get_401_with_one_factor(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, routes=routes()) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.password(rd="/one")
        upgrade = {
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
            "Origin": rig.url,
        }
        response = await browser.get("/two", **upgrade)
        assert response.status == 401
        assert (await response.json())["error"] == "second_factor_required"


async def test_pages_of_the_second_step_send_strangers_to_the_first(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user()
        assert (await browser.get("/_auth/verify")).headers["Location"].startswith("/_auth/login")
        token = await browser.token("/_auth/login")
        response = await browser.post("/_auth/verify", {"code": "123456", "csrf_token": token})
        assert response.headers["Location"].startswith("/_auth/login")


async def test_repeating_the_password_is_not_a_second_factor(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.password()
        await browser.session.get(rig.url + "/_auth/login")
        response = await browser.get("/")
        assert response.headers["Location"].startswith("/_auth/verify")


async def test_a_user_without_any_second_factor_gets_no_further(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, routes=routes()) as rig, rig.browser() as browser:
        await rig.add_user("zoe", phone="")
        await browser.password("zoe")
        assert (await browser.get("/_auth/verify")).status in (303, 403)
        assert (await browser.get("/two")).status == 303
        assert rig.upstream.requests == []


async def test_signing_in_as_another_user_carries_nothing_over(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user("alice")
        await rig.add_user("bob", phone="+4915112345679")
        await browser.password("alice")
        token = await browser.token("/_auth/verify")
        alices_code = rig.codes[-1]
        form = {"username": "bob", "password": "correct horse battery", "csrf_token": token, "rd": "/"}
        await browser.post("/_auth/login", form)
        await browser.get("/_auth/verify")
        if rig.codes[-1] != alices_code:
            assert (await browser.code(alices_code)).status == 401
        await browser.code(rig.codes[-1])
        seen = await (await browser.get("/")).json()
        assert ["Remote-User", "bob"] in seen["headers"]
