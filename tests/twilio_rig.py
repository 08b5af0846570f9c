"""A TwilioSender against a local Twilio, and how it fails."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from gateway.errors import SendFailed
from gateway.messaging.senders.twilio.messages import TwilioSender
from tests.fake_twilio import FakeTwilio
from tests.sending import (
    PHONE,
    TEXT,
    RecordedBackoff,
    twilio_config,
)
from tests.waiting import leap, until


@asynccontextmanager
async def sending(
    url: str, recorded: RecordedBackoff | None = None, **fields: object
) -> AsyncIterator[TwilioSender]:
    sender = TwilioSender(twilio_config(url, **fields), (recorded or RecordedBackoff()).backoff)
    try:
        yield sender
    finally:
        await sender.close()


async def failure_of(
    url: str, recorded: RecordedBackoff | None = None, to: str = PHONE, **fields: object
) -> SendFailed:
    async with sending(url, recorded, **fields) as sender:
        with pytest.raises(SendFailed) as failed:
            await sender.send(to, fields.pop("text", TEXT))  # type: ignore[arg-type]
    return failed.value


async def failure_in_time(twilio: FakeTwilio, **more: Any) -> SendFailed:
    """The time is over while Twilio has the request and says nothing."""
    failing = asyncio.create_task(failure_of(twilio.url, **more))
    await until(lambda: twilio.requests)
    leap(60)
    return await failing
