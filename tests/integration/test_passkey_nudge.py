"""After a sign-in by SMS: a passkey? Once a month at most, and only for who has none."""

from pathlib import Path

import pytest

from tests.rig import Browser, FakeClock, Rig, running_gateway
from tests.software_key import SoftwareKey

BROWSER = {"Sec-Fetch-Dest": "document", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "same-origin"}
HERE = {"public_url": "http://localhost:PORT"}
MONTH = 30 * 86400.0


async def lands(rig: Rig, browser: Browser, **headers: str) -> str:
    """Where a browser is sent by the right code."""
    await browser.password(rd="/dash")
    token = await browser.token("/_auth/verify?rd=/dash")
    form = {"code": rig.codes[-1], "csrf_token": token, "rd": "/dash"}
    answer = await browser.post("/_auth/verify", form, **headers)
    assert answer.status == 303
    return answer.headers["Location"]


async def test_who_signs_in_by_sms_is_asked_once_a_month_and_goes_on(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, server=HERE, clock=FakeClock()) as rig:
        await rig.add_user()
        async with rig.browser() as browser:
            assert await lands(rig, browser, **BROWSER) == "/_auth/passkey/nudge?rd=/dash"
            page = await (await browser.get("/_auth/passkey/nudge?rd=/dash")).text()
            assert 'href="/_auth/enrol?factor=webauthn&amp;rd=/dash"' in page
            assert '<a class="button quiet wide" href="/dash"' in page
        async with rig.browser() as browser:
            assert await lands(rig, browser, **BROWSER) == "/dash"
        rig.clock.advance(MONTH)
        async with rig.browser() as browser:
            assert await lands(rig, browser, **BROWSER) == "/_auth/passkey/nudge?rd=/dash"


async def test_programs_people_with_a_passkey_and_strangers_are_not_asked(tmp_path: Path) -> None:
    async with running_gateway(tmp_path, server=HERE) as rig:
        await rig.add_user()
        async with rig.browser() as browser:
            assert await lands(rig, browser) == "/dash"
        await rig.gateway.services.authn.factors.credentials.add(SoftwareKey().stored("alice"))
        async with rig.browser() as browser:
            await browser.password(rd="/dash")
            token = await browser.token("/_auth/verify?rd=/dash&factor=sms")
            form = {"code": rig.codes[-1], "csrf_token": token, "rd": "/dash", "method": "sms"}
            answer = await browser.post("/_auth/verify", form, **BROWSER)
            assert answer.headers["Location"] == "/dash"
        async with rig.browser() as browser:
            answer = await browser.get("/_auth/passkey/nudge?rd=/dash")
            assert (answer.status, answer.headers["Location"]) == (303, "/dash")


@pytest.mark.parametrize("sections", [{"webauthn": {"nudge": "0s"}}, {"enrolment": {"factors": ["totp"]}}])
async def test_it_is_switched_off_by_the_operator(
    tmp_path: Path, sections: dict[str, dict[str, object]]
) -> None:
    async with running_gateway(tmp_path, server=HERE, **sections) as rig, rig.browser() as browser:
        await rig.add_user()
        assert await lands(rig, browser, **BROWSER) == "/dash"
