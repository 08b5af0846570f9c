"""What apps are told of the user behind real engines: other dialects, and headers that a route makes."""

import json
from pathlib import Path

from tests.integration.engines import behind
from tests.integration.test_engines import engines, page, seen


@engines
async def test_presets_reach_the_app_through_the_engine(engine: str, tmp_path: Path) -> None:
    add = {
        "X-Department": "{user.department}",
        "X-Site": "at {user.site}",
        "X-All": "{user|json}",
        "X-Fixed": "1",
    }
    routes = [
        {"path": "/facts", "upstream": "UPSTREAM", "headers": {"add": add}},
        {"upstream": "UPSTREAM", "headers": {"preset": ["authentik", "goog-iap"]}},
    ]
    async with behind(engine, tmp_path, routes=routes) as rig, rig.browser() as browser:
        department = (("department", ("R&D, Köln", "ops")),)
        await rig.add_user("alice", email="alice@example.com", groups=("ops", "dev"), attributes=department)
        await browser.sign_in()
        forgery = {"X_authentik-Username": "mallory", "Cf-Access-Jwt-Assertion": "mallory"}
        for _ in range(2):
            status, body = await page(browser, "/", **forgery)
            headers = seen(body)
            assert (status, headers["x-authentik-username"]) == (200, "alice")
            assert headers["x-authentik-groups"] == "ops|dev"
            assert headers["x-goog-authenticated-user-email"] == "accounts.google.com:alice@example.com"
            assert headers["x-goog-iap-jwt-assertion"].count(".") == 2
            assert "remote-user" not in headers
            assert "mallory" not in str(body)
            status, body = await page(browser, "/facts", **{"X-Site": "mallory", "X-Department": "mallory"})
            headers = seen(body)
            assert headers["x-department"].encode("latin-1").decode() == "R&D%2C Köln,ops"
            assert json.loads(headers["x-all"])["attributes"] == {"department": ["R&D, Köln", "ops"]}
            assert (status, headers["x-fixed"], "x-site" in headers) == (200, "1", False)
            assert "mallory" not in str(body)
