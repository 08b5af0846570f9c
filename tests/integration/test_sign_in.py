"""Signing in as a browser does: real sockets, a real upstream, a real database; only the clock is moved by hand."""

from pathlib import Path

from tests.rig import HTML, PASSWORD, running_gateway


async def test_a_stranger_is_sent_to_login_and_nothing_reaches_the_upstream(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        response = await browser.get("/dash?x=1")
        assert response.status == 303
        assert response.headers["Location"] == "/_auth/login?rd=/dash%3Fx%3D1"
        assert rig.upstream.requests == []


async def test_password_then_code_opens_the_app_with_identity_headers(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user("alice", email="alice@example.com", groups=("ops", "dev"))
        response = await browser.password(rd="/dash?x=1")
        assert (response.status, response.headers["Location"]) == (303, "/_auth/verify?rd=/dash%3Fx%3D1")
        response = await browser.code(rd="/dash?x=1")
        assert (response.status, response.headers["Location"]) == (303, "/dash?x=1")
        seen = await (await browser.get("/dash?x=1")).json()
        headers = {name.lower(): value for name, value in seen["headers"]}
        assert seen["path"] == "/dash?x=1"
        assert headers["remote-user"] == "alice"
        assert headers["remote-email"] == "alice@example.com"
        assert headers["remote-groups"] == "ops,dev"
        assert "auth_session" not in headers.get("cookie", "")


async def test_wrong_password_is_401_with_the_same_text_for_everyone(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user()
        known = await browser.password("alice", "wrong password")
        unknown = await browser.password("nobody", "wrong password")
        assert (known.status, unknown.status) == (401, 401)
        assert "Wrong username or password." in await known.text()
        assert "Wrong username or password." in await unknown.text()


async def test_wrong_code_is_401_and_five_of_them_end_the_attempt(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.password()
        await browser.get("/_auth/verify")
        good = rig.codes[-1]
        wrong = f"{(int(good) + 1) % 1_000_000:06d}"
        assert [(await browser.code(wrong)).status for _ in range(5)] == [401] * 5
        response = await browser.code(good)
        assert response.status == 429
        assert "Retry-After" in response.headers
        assert (await browser.get("/")).headers["Location"].startswith("/_auth/login")


async def test_programs_get_401_with_json_and_a_challenge(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        response = await browser.session.get(rig.url + "/api", headers={"Accept": "application/json"})
        assert response.status == 401
        assert "WWW-Authenticate" in response.headers
        body = await response.json()
        assert body["error"] == "sign_in_required"
        fetch = await browser.get("/", **{"Sec-Fetch-Mode": "cors"})
        assert fetch.status == 401


async def test_signing_out_ends_the_session_for_every_copy_of_the_cookie(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.sign_in()
        stolen = browser.cookie()
        assert (await browser.get("/")).status == 200
        token = await browser.token("/_auth/logout")
        assert (await browser.post("/_auth/logout", {"csrf_token": token})).status == 303
        async with rig.browser() as thief:
            response = await thief.get("/", Cookie=f"auth_session={stolen}")
            assert response.status == 303


async def test_idle_and_absolute_timeouts_end_a_session(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.sign_in()
        for _ in range(11):
            rig.clock.advance(3500)
            assert (await browser.get("/")).status == 200
        rig.clock.advance(3599)
        assert (await browser.get("/")).status == 200
        rig.clock.advance(3601)
        assert (await browser.get("/")).status == 303
        await browser.sign_in()
        for _ in range(12):
            rig.clock.advance(3590)
            assert (await browser.get("/")).status == 200
        rig.clock.advance(130)
        assert (await browser.get("/")).status == 303


async def test_a_second_tab_with_an_old_form_goes_on_once_the_first_has_signed_in(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user()
        old_token = await browser.token("/_auth/login?rd=/second")
        await browser.sign_in()
        form = {"username": "alice", "password": PASSWORD, "csrf_token": old_token, "rd": "/second"}
        response = await browser.post("/_auth/login", form)
        assert (response.status, response.headers["Location"]) == (303, "/second")


async def test_another_code_can_be_had_after_a_pause_and_voids_the_first(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.password()
        token = await browser.token("/_auth/verify")
        await browser.post("/_auth/verify", {"csrf_token": token, "resend": "1", "method": "sms"})
        assert len(rig.codes) == 1
        rig.clock.advance(31)
        await browser.post("/_auth/verify", {"csrf_token": token, "resend": "1", "method": "sms"})
        first, second = rig.codes
        if first != second:
            assert (await browser.code(first)).status == 401
        assert (await browser.code(second)).status == 303


async def test_health_metrics_and_keys_answer_without_a_session(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        for path in ("healthz", "readyz", "jwks.json", "metrics"):
            response = await browser.get(f"/_auth/{path}")
            assert response.status == 200, path
            assert "Set-Cookie" not in response.headers
        assert "auth_gateway_requests_total" in await (await browser.get("/_auth/metrics")).text()


async def test_unknown_pages_of_ours_are_404_and_wrong_methods_405(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        assert (await browser.get("/_auth/nothing")).status == 404
        response = await browser.session.delete(rig.url + "/_auth/login", headers=HTML)
        assert response.status == 405
        assert response.headers["Allow"] == "GET, HEAD, POST"


async def test_a_page_that_we_do_not_have_leads_home(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        answer = await browser.get("/_auth/nothing")
        assert answer.status == 404
        assert '<a class="button wide" href="/">Home</a>' in await answer.text()
