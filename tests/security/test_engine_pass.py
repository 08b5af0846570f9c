"""The pass for HAProxy and the assertion for apps are signed by one key; neither may be taken for the other."""

import base64
import json
from pathlib import Path
from typing import Any

from tests.rig import running_gateway


def claims(token: str) -> dict[str, Any]:
    part = token.split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found


async def test_no_app_takes_a_pass_for_an_assertion_nor_haproxy_an_assertion_for_a_pass(
    tmp_path: Path,
) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.sign_in()
        answer = await browser.get("/_auth/pass?rd=/")
        given = answer.cookies["auth_session_pass"].value
        told = dict((await (await browser.get("/")).json())["headers"])
        assertion = next(value for name, value in told.items() if name.lower() == "x-auth-assertion")
        assert claims(given)["iss"] == claims(assertion)["iss"]
        assert claims(assertion)["aud"] == "127.0.0.1"
        assert claims(given)["aud"] == "pass:127.0.0.1"
