"""Rule 6: state changes only from our own pages; our cookie stays ours."""

from pathlib import Path

from aiohttp import web

from tests.rig import PASSWORD, running_gateway


async def test_forms_without_the_token_or_from_elsewhere_change_nothing(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user()
        token = await browser.token("/_auth/login")
        form = {"username": "alice", "password": PASSWORD, "rd": "/", "csrf_token": token}
        assert (await browser.post("/_auth/login", {**form, "csrf_token": ""})).status == 403
        assert (await browser.post("/_auth/login", {**form, "csrf_token": "x" * 43})).status == 403
        assert (await browser.post("/_auth/login", form, Origin="https://evil.test")).status == 403
        assert (await browser.post("/_auth/login", form, Origin="null")).status == 403
        response = await browser.session.post(
            rig.url + "/_auth/login",
            data=form,
            headers={"Sec-Fetch-Site": "cross-site"},
            allow_redirects=False,
        )
        assert response.status == 403
        async with rig.browser() as stranger:
            for nothing in ({**form, "csrf_token": ""}, {k: v for k, v in form.items() if k != "csrf_token"}):
                assert (await stranger.post("/_auth/login", nothing)).status == 403
                stranger.session.cookie_jar.clear()
        assert (await browser.post("/_auth/login", form)).status == 303


async def test_a_foreign_page_cannot_sign_people_out(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.sign_in()
        await browser.post("/_auth/logout", {}, Origin="https://evil.test")
        await browser.post("/_auth/logout", {"csrf_token": "guess"})
        assert (await browser.get("/_auth/logout")).status == 200  # asking is not doing
        assert (await browser.get("/")).status == 200


async def test_forms_with_duplicate_fields_or_other_types_are_refused(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        url, origin = rig.url + "/_auth/login", {"Origin": rig.url}
        urlencoded = {**origin, "Content-Type": "application/x-www-form-urlencoded"}
        double = await browser.session.post(url, data=b"username=a&username=b", headers=urlencoded)
        assert double.status == 400
        assert (await browser.session.post(url, json={"username": "a"}, headers=origin)).status == 415
        big = await browser.session.post(url, data=b"a=" + b"x" * 70_000, headers=urlencoded)
        assert big.status == 413


async def test_the_upstream_never_sees_our_cookie_and_cannot_set_it(tmp_path: Path) -> None:
    async def handler(request: web.Request) -> web.Response:
        response = web.json_response({"cookie": request.headers.get("Cookie", "")})
        response.headers.add("Set-Cookie", "auth_session=stolen; Path=/")
        response.headers.add("Set-Cookie", "__Host-auth_session=stolen; Path=/; Secure")
        response.headers.add("Set-Cookie", "AUTH_SESSION=; Max-Age=0")
        response.headers.add("Set-Cookie", "theirs=1")
        return response

    async with running_gateway(tmp_path, handler=handler) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.sign_in()
        mine = browser.cookie()
        response = await browser.get("/", Cookie=f"a=1; auth_session={mine}; b=2")
        assert (await response.json())["cookie"] == "a=1; b=2"
        assert [c for c in response.headers.getall("Set-Cookie") if "auth_session=s" in c] == []
        assert "theirs=1" in response.headers.getall("Set-Cookie")[-1]
        assert browser.cookie() == mine


async def test_websockets_from_foreign_pages_are_refused(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.sign_in()
        upgrade = {
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
            "Origin": "https://evil.test",
        }
        assert (await browser.get("/ws", **upgrade)).status == 403
        assert rig.upstream.requests == []
