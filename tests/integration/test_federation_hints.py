"""Who wants to sign in, and in which language, is told to the provider that was chosen, and to nobody else."""

from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.federation_trip import at_provider, auto, back, led, sign_out, signed_in


@pytest.mark.parametrize(("on", "hint"), [(True, "mira@example.com"), (False, None)])
async def test_a_hint_goes_to_the_provider_that_was_chosen_and_into_no_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, on: bool, hint: str | None
) -> None:
    caplog.set_level("DEBUG")
    async with auto(tmp_path, login_hint=on) as (rig, provider, browser):
        page = "/_auth/login?rd=/wiki&login_hint=mira%40example.com"
        asked = await at_provider(browser, provider, await led(browser, page))
        assert asked.get("login_hint") == hint
        shown = await (await browser.get(f"{page}&auto=0")).text()
        assert "login_hint=mira%40example.com" in shown
        await back(browser, asked, error="access_denied")
        await rig.gateway.services.audit.flush()
        rows = await rig.gateway.stores.audit_log.tail(100)
        assert rows
        assert "mira" not in caplog.text + repr(rows)


@pytest.mark.parametrize("hint", ["x" * 257, "a\r\nb", "\x00", "  "])
async def test_what_is_no_name_is_no_hint(tmp_path: Path, hint: str) -> None:
    async with auto(tmp_path) as (_, provider, browser):
        asked = await at_provider(
            browser, provider, "/_auth/federated/corp?" + urlencode({"rd": "/", "login_hint": hint})
        )
        assert "login_hint" not in asked


@pytest.mark.parametrize(("match", "hint"), [("email", "mira@example.com"), ("username", "mira")])
async def test_who_was_signed_in_before_is_told_to_the_provider_that_knows_them(
    tmp_path: Path, match: str, hint: str
) -> None:
    settings = {"match": match, "assigns_usernames": True}
    async with auto(tmp_path, federation={"auto": False}, **settings) as (rig, provider, browser):
        provider.id_token["preferred_username"] = "mira"
        await rig.add_user()
        assert (await browser.password()).status == 303  # alice has no account there
        await rig.gateway.stores.sessions.delete_for_user("alice")
        rig.gateway.sessions.forget_user("alice")
        assert "login_hint" not in await at_provider(browser, provider, "/_auth/federated/corp?rd=/")
        async with rig.browser() as other:
            await signed_in(other, provider)
            await rig.gateway.stores.sessions.delete_for_user("mira")
            rig.gateway.sessions.forget_user("mira")
            asked = await at_provider(other, provider, "/_auth/federated/corp?rd=/")
            assert asked["login_hint"] == hint
            await signed_in(other, provider)
            await sign_out(other)
            assert "login_hint" not in await at_provider(other, provider, "/_auth/federated/corp?rd=/")


async def test_what_the_operator_writes_comes_before_hint_and_language(tmp_path: Path) -> None:
    settings = {"authorize": {"login_hint": "all@example.com", "ui_locales": "fr"}}
    async with auto(tmp_path, **settings) as (_, provider, browser):
        asked = await at_provider(browser, provider, "/_auth/federated/corp?rd=/&login_hint=mira")
        assert (asked["login_hint"], asked["ui_locales"]) == ("all@example.com", "fr")
        asked = await at_provider(browser, provider, "/_auth/federated/corp?rd=/&lang=pt-BR")
        assert asked["ui_locales"] == "fr"
