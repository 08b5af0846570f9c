"""Users who have codes by SMS alone are led away from them, and nobody is left without a way (`sms.migration`)."""

from pathlib import Path
from typing import Any

import pytest

from gateway.authn.factors.sms_migration import SmsMigrationPlan
from gateway.config.sections.sms_migration import SmsMigration
from gateway.model import User
from tests.rig import Browser, FakeClock, Rig, running_gateway
from tests.software_key import SoftwareKey

BROWSER = {"Sec-Fetch-Dest": "document", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "same-origin"}
HERE = {"public_url": "http://localhost:PORT"}
DAY = 86400.0
TODAY = 1_800_000_000.0  # 2027-01-15T08:00Z
DEADLINE = 1_806_537_600.0  # 2027-04-01T00:00Z
PLAN = {
    "nudge_from": "2027-01-10",
    "deadline": "2027-04-01",
    "after": "deny",
    "exempt_groups": ["no-phone"],
}
ASKS, GOES_ON = "/_auth/sms/migration?rd=/dash", "/dash"


def gateway(folder: Path, **plan: Any) -> Any:
    return running_gateway(
        folder,
        server=HERE,
        clock=FakeClock(TODAY),
        webauthn={"nudge": "0s"},
        sms={"migration": {**PLAN, **plan}},
        email={"provider": "console", "second_factor": False},
    )


async def lands(rig: Rig, browser: Browser, name: str, code: str = "", **headers: str) -> str:
    """Where a browser is sent by the right code."""
    await browser.password(name, rd="/dash")
    token = await browser.token("/_auth/verify?rd=/dash")
    form = {"code": code or rig.codes[-1], "csrf_token": token, "rd": "/dash"}
    answer = await browser.post("/_auth/verify", form, **headers)
    assert answer.status == 303
    return answer.headers["Location"]


async def test_until_the_deadline_who_has_sms_alone_is_asked_once_a_day_and_goes_on(tmp_path: Path) -> None:
    async with gateway(tmp_path) as rig:
        await rig.add_user("alice")
        await rig.add_user("carl", groups=("no-phone",))
        async with rig.browser() as browser:
            assert await lands(rig, browser, "alice", **BROWSER) == ASKS
            page = await (await browser.get(ASKS)).text()
            assert "2027-04-01" in page
            assert page.index("factor=webauthn&amp;rd=/dash") < page.index("factor=totp&amp;rd=/dash")
            assert '<a class="button quiet wide" href="/dash"' in page
        for name, headers in (("alice", BROWSER), ("carl", BROWSER), ("carl", {})):
            async with rig.browser() as browser:
                assert await lands(rig, browser, name, **headers) == GOES_ON
        rig.clock.advance(DAY)
        async with rig.browser() as browser:
            assert await lands(rig, browser, "alice") == GOES_ON, "a program is asked nothing"
        async with rig.browser() as browser:
            assert await lands(rig, browser, "alice", **BROWSER) == ASKS
        await rig.gateway.services.authn.factors.credentials.add(SoftwareKey().stored("alice"))
        rig.clock.advance(DAY)
        plan = rig.gateway.services.authn.factors.sms_plan
        assert not await plan.asks(User("alice")), "who has a passkey has left SMS"


async def test_from_the_deadline_no_code_goes_out_and_the_operator_lets_them_go_on(tmp_path: Path) -> None:
    async with gateway(tmp_path) as rig:
        await rig.add_user("alice")
        await rig.add_user("carl", groups=("no-phone",))
        rig.clock.now = DEADLINE - 2 * DAY  # no session is left that could approve
        async with rig.browser() as browser:
            await lands(rig, browser, "alice")
        rig.clock.now = DEADLINE
        sent = len(rig.codes)
        async with rig.browser() as browser:
            await browser.password("alice", rd="/dash")
            answer = await browser.get("/_auth/verify?rd=/dash")
            assert (answer.status, "sms_ended" in await answer.text()) == (403, True)
            token = await browser.token("/_auth/login")
            for form in ({"resend": "1"}, {"resend": "call"}, {"code": rig.codes[-1], "method": "sms"}):
                form = {"csrf_token": token, "rd": "/dash", "factor": "sms", **form}
                assert (await browser.post("/_auth/verify", form)).status == 403
            for factor in ("totp", "webauthn", "sms"):  # the password alone adds nothing
                answer = await browser.get(f"/_auth/enrol?factor={factor}&rd=/dash")
                assert answer.headers["Location"].startswith("/_auth/verify?rd=")
                assert (await browser.get(answer.headers["Location"])).status == 403
        assert len(rig.codes) == sent

        bypasses = rig.gateway.services.authn.factors.second["bypass"]._bypasses
        code = await bypasses.issue("alice", 600)
        async with rig.browser() as browser:
            assert await lands(rig, browser, "alice", code, **BROWSER) == ASKS
            page = await (await browser.get(ASKS)).text()
            assert "no longer sign you in" in page
            answer = await browser.get("/_auth/enrol?factor=totp&rd=/dash")
            assert (answer.status, "qr" in await answer.text()) == (200, True)
            assert "factor=sms" not in await (await browser.get("/_auth/enrol?rd=/dash")).text()
        async with rig.browser() as browser:
            assert await lands(rig, browser, "carl", **BROWSER) == GOES_ON


async def test_a_plan_that_only_asks_goes_on_asking_after_its_deadline(tmp_path: Path) -> None:
    async with gateway(tmp_path, after="nudge", nudge_every="0s") as rig, rig.browser() as browser:
        await rig.add_user("alice")
        rig.clock.now = DEADLINE + DAY
        assert await lands(rig, browser, "alice", **BROWSER) == ASKS
        assert "2027-04-01" not in await (await browser.get(ASKS)).text()


async def test_users_read_of_the_risk_where_they_add_a_number_and_are_offered_another_way(
    tmp_path: Path,
) -> None:
    async with running_gateway(tmp_path, server=HERE) as rig, rig.browser() as browser:
        await rig.add_user("alice", phone="")
        await browser.password("alice")
        page = await (await browser.get("/_auth/enrol?factor=sms")).text()
        assert "redirected by somebody who takes over your number" in page
        assert "factor=totp" in page
        assert "factor=webauthn" in page


@pytest.mark.parametrize(
    ("section", "now", "denies"),
    [
        ({}, DEADLINE, False),
        ({"deadline": "2027-04-01"}, DEADLINE, False),
        ({"deadline": "2027-04-01", "after": "deny"}, DEADLINE - 1, False),
        ({"deadline": "2027-04-01", "after": "deny"}, DEADLINE, True),
    ],
)
def test_a_day_begins_at_midnight_utc_and_without_a_plan_nothing_ends(
    section: dict[str, str], now: float, denies: bool
) -> None:
    config = SmsMigration.model_validate(section)
    plan = SmsMigrationPlan(config, credentials=None, clock=lambda: now)  # type: ignore[arg-type]  # not asked
    assert plan.ended_for(User("alice")) is denies
