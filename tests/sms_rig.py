"""What the tests of SMS share: a gateway that sends through the fake Twilio, and a look into its records."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from gateway.stores.protocols.sms import SmsMessage
from tests.fake_twilio import FakeTwilio
from tests.rig import Browser, Rig, running_gateway
from tests.twilio_rules import ACCOUNT_SID, AUTH_TOKEN, FROM, VERIFY_SERVICE_SID

SECOND_PHONE = "+4915112345679"


def sms_config(twilio: FakeTwilio, **more: Any) -> dict[str, Any]:
    return {
        "provider": "twilio",
        "account_sid": ACCOUNT_SID,
        "auth_token": AUTH_TOKEN,
        "from": FROM,
        "base_url": twilio.url,
        "status_callbacks": True,
        **more,
    }


def verify_config(twilio: FakeTwilio, **more: Any) -> dict[str, Any]:
    return {
        "provider": "twilio_verify",
        "account_sid": ACCOUNT_SID,
        "auth_token": AUTH_TOKEN,
        "service_sid": VERIFY_SERVICE_SID,
        "base_url": twilio.url,
        **more,
    }


@asynccontextmanager
async def sms_gateway(folder: Path, twilio: FakeTwilio, **sms: Any) -> AsyncIterator[Rig]:
    """`sms` are keys of the section; other sections go in `sections`."""
    sections = sms.pop("sections", {})
    config = sms.pop("config", sms_config)(twilio, **sms)
    async with running_gateway(folder, sms=config, **sections) as rig:
        yield rig


async def records(rig: Rig) -> Sequence[SmsMessage]:
    """Newest first."""
    return await rig.gateway.stores.sms.reports.last(100)


async def spent(rig: Rig, channel: str = "sms") -> int:
    """Today, in micros."""
    from gateway.messaging.sms.spending import Channel

    return await rig.gateway.services.messaging.sms.spend.today(Channel(channel))


async def ask_for_code(browser: Browser, username: str = "alice") -> str:
    """The page of the second factor."""
    await browser.password(username)
    return await (await browser.get("/_auth/verify")).text()


async def delivery(browser: Browser) -> dict[str, Any]:
    answer = await browser.session.get(browser.rig.url + "/_auth/sms/delivery")
    found: dict[str, Any] = await answer.json()
    return found | {"status": answer.status}
