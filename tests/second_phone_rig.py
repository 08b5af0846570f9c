"""Adding a second number as its user does, and having one that is old enough to get codes."""

from gateway.authn.factors.phone_lines import SECOND_PHONE as KIND
from gateway.stores.protocols.core import Credential
from tests.integration.test_account import ACCOUNT
from tests.rig import Browser, Rig
from tests.security.test_changed_number import DAY
from tests.sms_rig import SECOND_PHONE

ENROL = f"/_auth/enrol?factor=second_phone&rd={ACCOUNT}"
OTHER = 'name="resend" value="other"'


async def hold(rig: Rig, number: str = SECOND_PHONE) -> None:
    """Alice has had a second number for long."""
    await rig.gateway.stores.credentials.add(
        Credential("held", "alice", KIND, "+49•••••679", number.encode(), rig.clock() - 2 * DAY)
    )


async def start_adding(browser: Browser, number: str = SECOND_PHONE) -> tuple[dict[str, str], str]:
    """The form to go on with, and the page."""
    token = await browser.token(ENROL)
    form = {"factor": KIND, "csrf_token": token, "rd": ACCOUNT}
    return form, await (await browser.post("/_auth/enrol", {**form, "address": number})).text()


async def other_number(browser: Browser) -> str:
    """The page after "Send it to my other number"."""
    token = await browser.token("/_auth/verify")
    answer = await browser.post("/_auth/verify", {"csrf_token": token, "rd": "/", "resend": "other"})
    return await answer.text()
