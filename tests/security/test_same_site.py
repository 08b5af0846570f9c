"""Rule 6: our cookies are Lax, and None only where the operator says so and the pages are https."""

from pathlib import Path
from typing import Any

import pytest

from gateway.config.schema import Config
from gateway.forwardauth.engine_pass import Passes
from gateway.session.cookie import PURPOSES, AuxiliaryCookie, cookie_flags
from tests.rig import PASSWORD, csrf_of, running_gateway


@pytest.mark.parametrize(
    ("session", "public_url", "expected"),
    [
        ({}, "https://app.test", "Lax"),
        ({"same_site": "none"}, "https://app.test", "None"),
        ({"same_site": "none"}, "http://127.0.0.1:PORT", "Lax"),
    ],
)
async def test_every_cookie_of_a_sign_in_says_the_same_of_other_sites(
    tmp_path: Path, session: dict[str, Any], public_url: str, expected: str
) -> None:
    config = {"server": {"public_url": public_url}, "session": session}
    async with running_gateway(tmp_path, **config) as rig, rig.browser() as browser:
        await rig.add_user()
        cookies: dict[str, str] = {}
        proxied = {"Host": "app.test", "Origin": "https://app.test"} if public_url.startswith("https") else {}

        async def step(path: str, form: dict[str, str] | None = None) -> str:
            sent = {**proxied, "Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}
            answer = await (browser.get(path, **sent) if form is None else browser.post(path, form, **sent))
            for header in answer.headers.getall("Set-Cookie", []):
                name, _, rest = header.partition("=")
                cookies[name] = rest.partition(";")[0]
                assert f"SameSite={expected}" in rest, header
                assert ("; Secure" in rest) is bool(proxied), header
            return await answer.text()

        token = csrf_of(await step("/_auth/login"))
        form = {"username": "alice", "password": PASSWORD, "csrf_token": token, "rd": "/"}
        await step("/_auth/login", form)
        token = csrf_of(await step("/_auth/verify"))
        form = {"code": rig.codes[-1], "csrf_token": token, "rd": "/", "remember_device": "1"}
        await step("/_auth/verify", form)
        assert any("device" in name for name in cookies)
        assert len(cookies) >= 3


def test_small_cookies_and_those_of_engines_say_it_too() -> None:
    values = {
        "server": {"public_url": "https://app.test"},
        "session": {"same_site": "none"},
        "routes": [{"host": "app.test", "upstream": "http://127.0.0.1:9"}],
    }
    config = Config.model_validate(values)
    for purpose in PURPOSES:
        assert AuxiliaryCookie.of(config, purpose)._flags["samesite"] == "None"
    passes = Passes(config=config, routes=None, sessions=None, assertions=None)  # type: ignore[arg-type]
    assert passes._flags["samesite"] == "None"
    assert cookie_flags(secure=False, same_site="none")["samesite"] == "Lax"
