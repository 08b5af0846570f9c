"""Rule 1, for routes without an app: policy comes first, as everywhere, and no app is opened by them."""

import logging
from pathlib import Path
from typing import Any

import pytest

from tests.integration.test_forward_auth import TRUSTED, ask, nginx
from tests.rig import running_gateway

ROBOTS = "User-agent: *\nDisallow: /\n"


def routes() -> list[dict[str, Any]]:
    return [
        {"path": "/robots.txt", "respond": {"body": ROBOTS}, "policy": {"require": "bypass"}},
        {"path": "/secret", "respond": {"body": "42", "content_type": "application/json"}},
        {
            "path": "/old",
            "redirect": {"to": "https://wiki.test/w", "status": 308, "keep_path": True},
            "policy": {"require": "bypass"},
        },
        {"path": "/moved", "redirect": {"to": "/new"}, "policy": {"require": "one_factor"}},
        {"path": "/", "upstream": "UPSTREAM"},
    ]


async def test_open_answers_are_for_all_and_others_for_who_may_pass(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, routes=routes()) as rig, rig.browser() as browser:
        await rig.add_user("alice")
        for _ in range(2):
            robots = await browser.get("/robots.txt")
            assert (robots.status, await robots.text(), robots.content_type) == (200, ROBOTS, "text/plain")
        old = await browser.get("/old/a?b=c")
        assert (old.status, old.headers["Location"]) == (308, "https://wiki.test/w/a?b=c")
        assert "Cache-Control" not in old.headers
        for path in ("/secret", "/moved"):
            assert (await browser.get(path)).headers["Location"].startswith("/_auth/login")
        await browser.password()
        assert (await browser.get("/secret")).headers["Location"].startswith("/_auth/verify")
        moved = await browser.get("/moved")
        assert (moved.status, moved.headers["Location"]) == (302, f"{rig.url}/new")
        assert moved.headers["Cache-Control"] == "no-store"
        await browser.code()
        secret = await browser.get("/secret")
        assert (await secret.text(), secret.content_type) == ("42", "application/json")
        assert (secret.headers["Cache-Control"], secret.headers["X-Content-Type-Options"]) == (
            "no-store",
            "nosniff",
        )
        assert rig.upstream.requests == []


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("POST", 405), ("DELETE", 405)])
async def test_a_fixed_answer_is_only_read(tmp_path: Path, method: str, status: int) -> None:
    async with (
        running_gateway(tmp_path, routes=routes()) as rig,
        rig.browser() as browser,
        browser.session.request(method, f"{rig.url}/robots.txt", data=b"x" * 70_000) as response,
    ):
        assert response.status == status
        assert response.headers.get("Allow") == (None if status == 200 else "GET, HEAD")
        assert (await response.read() == b"") is (method == "HEAD")


async def test_no_proxy_is_told_to_let_its_own_app_answer(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "gateway.forwardauth")
    async with running_gateway(tmp_path, server=TRUSTED, routes=routes()) as rig, rig.browser() as browser:
        assert (await ask(browser, nginx, "/robots.txt")).status == 403
    assert "the gateway itself answers for */robots.txt" in caplog.text
