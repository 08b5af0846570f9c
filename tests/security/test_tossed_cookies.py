"""A host below our domain can set a cookie of our name, for a longer path even before ours: no session is swapped."""

from pathlib import Path

from tests.rig import Browser, Rig, running_gateway


async def signed_in(rig: Rig, browser: Browser, username: str) -> str:
    await rig.add_user(username)
    await browser.sign_in(username)
    return browser.cookie()


async def test_a_second_session_cookie_signs_nobody_in_as_somebody_else(tmp_path: Path) -> None:
    server = {"trusted_proxies": ["127.0.0.0/8"]}
    async with (
        running_gateway(tmp_path, server=server) as rig,
        rig.browser() as victim,
        rig.browser() as attacker,
    ):
        mine = await signed_in(rig, victim, "alice")
        tossed = await signed_in(rig, attacker, "mallory")
        asked = {"X-Original-URL": f"{rig.url}/", "X-Original-Method": "GET"}
        async with rig.browser() as browser:
            for _ in range(2):  # from the store, then from memory
                for other in (tossed, "x"):
                    cookies = f"auth_session={other}; auth_session={mine}"
                    assert (await browser.get("/", Cookie=cookies)).status == 303
                    assert (await browser.get("/_auth/account", Cookie=cookies)).status == 303
                    assert (await browser.get("/_auth/forward", Cookie=cookies, **asked)).status == 401
                twice = f"auth_session={mine}; auth_session={mine}"
                answer = await (await browser.get("/", Cookie=twice)).json()
                assert dict(answer["headers"])["Remote-User"] == "alice"
        assert len(rig.upstream.requests) == 2
