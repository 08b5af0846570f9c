"""Pushed authorization requests (RFC 9126): judged before any page appears, of the app that pushed, used once."""

from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.oidc_rig import CALLBACK, SECRET, SPA, WEB, AppCalls, answer_of, authorize_path, pkce, provider
from tests.rig import Browser, Rig

PUSHED = {**WEB, "par": True}


def wanted(challenge: str, **more: str | None) -> dict[str, str | None]:
    return {
        "response_type": "code",
        "redirect_uri": CALLBACK,
        "scope": "openid",
        "state": "st4te",
        "code_challenge": challenge,
        "code_challenge_method": "S256",
        **more,
    }


async def pushed(rig: Rig, challenge: str, **more: str | None) -> tuple[int, dict[str, Any]]:
    return await AppCalls(rig).post("par", **wanted(challenge, **more))


async def brought(browser: Browser, request_uri: str, client: str = "web", **more: str) -> Any:
    query = urlencode({"client_id": client, "request_uri": request_uri, **more})
    return await browser.get(f"/_auth/oidc/authorize?{query}")


async def test_a_pushed_request_is_answered_once_and_can_not_be_changed(tmp_path: Path) -> None:
    async with provider(tmp_path, PUSHED, SPA) as rig, rig.browser() as browser:
        await rig.add_user("alice")
        await browser.sign_in()
        proof = pkce()
        status, answer = await pushed(rig, proof.challenge)
        assert (status, answer["expires_in"]) == (201, 90)
        # What the browser says beside the name counts for nothing.
        evil = {"redirect_uri": "https://evil.example/", "scope": "openid email", "state": "other"}
        back = answer_of(await brought(browser, answer["request_uri"], **evil))
        assert back["state"] == "st4te"
        status, tokens = await AppCalls(rig).redeem(back["code"], proof.verifier)
        assert (status, tokens["scope"]) == (200, "openid")
        assert (await brought(browser, answer["request_uri"])).status == 400


async def test_a_pushed_request_is_of_its_client_and_soon_over(tmp_path: Path) -> None:
    async with provider(tmp_path, PUSHED, SPA) as rig, rig.browser() as browser:
        await rig.add_user("alice")
        await browser.sign_in()
        for client, later in (("spa", 0), ("nobody", 0), ("web", 91)):
            _, answer = await pushed(rig, pkce().challenge)
            rig.clock.advance(later)
            there = await brought(browser, answer["request_uri"], client)
            assert (there.status, "Location" in there.headers) == (400, False)
        made_up = await brought(browser, "urn:ietf:params:oauth:request_uri:made-up")
        assert made_up.status == 400
        elsewhere = await brought(browser, "https://evil.example/request")
        assert elsewhere.status == 400


async def test_a_client_that_has_to_push_can_not_ask_in_the_address(tmp_path: Path) -> None:
    async with provider(tmp_path, PUSHED, SPA) as rig, rig.browser() as browser:
        await rig.add_user("alice")
        await browser.sign_in()
        there = await browser.get(authorize_path(pkce()))
        assert (there.status, "Location" in there.headers) == (400, False)
        public = await browser.get(authorize_path(pkce(), client_id="spa", scope="openid"))
        assert "code=" in public.headers["Location"]


@pytest.mark.parametrize(
    ("more", "error"),
    [
        ({"redirect_uri": "https://evil.example/"}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"request_uri": "urn:ietf:params:oauth:request_uri:x"}, "invalid_request"),
        ({"request": "e30.e30."}, "request_not_supported"),
        ({"client_id": "spa"}, "invalid_request"),
        ({"code_challenge": None, "code_challenge_method": None}, "invalid_request"),
        ({"resource": "https://api.example.com"}, "invalid_target"),
    ],
)
async def test_what_would_be_refused_later_is_refused_at_once(
    tmp_path: Path, more: dict[str, str | None], error: str
) -> None:
    async with provider(tmp_path) as rig:
        status, answer = await pushed(rig, pkce().challenge, **more)
        assert (status, answer["error"]) == (400, error)


async def test_only_the_app_itself_pushes(tmp_path: Path) -> None:
    async with provider(tmp_path) as rig:
        form = wanted(pkce().challenge)
        for calls in (
            AppCalls(rig, "web", "wrong"),
            AppCalls(rig, "web", None),
            AppCalls(rig, "nobody", SECRET),
        ):
            status, answer = await calls.post("par", **form)
            assert (status, answer["error"]) == (401, "invalid_client")
        status, _ = await AppCalls(rig, "spa", None).post("par", **form)
        assert status == 201
