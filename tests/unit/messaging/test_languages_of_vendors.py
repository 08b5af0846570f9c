"""Other services have names of their own for some of our languages."""

from types import SimpleNamespace
from unittest.mock import AsyncMock

import pytest

from gateway.authn.risk.geo import _name
from gateway.i18n.catalogues import NAMES
from gateway.messaging.senders.twilio.verify import TwilioVerify
from gateway.messaging.senders.twilio.voice import SENTENCES, twiml

OF_VERIFY = {
    "en",
    "ar",
    "de",
    "es",
    "fr",
    "it",
    "ja",
    "ko",
    "nl",
    "pl",
    "pt-BR",
    "ru",
    "tr",
    "zh-CN",
    "zh-HK",
}
"""Some of https://www.twilio.com/docs/verify/supported-languages, read in 2026; any other is answered with 404."""


@pytest.mark.parametrize("tag", NAMES)
async def test_twilio_verify_is_asked_for_a_locale_that_it_has(tag: str) -> None:
    create = AsyncMock(return_value=SimpleNamespace(send_code_attempts=[], sid="VE1"))
    service = SimpleNamespace(verifications=SimpleNamespace(create_async=create))
    client = SimpleNamespace(verify=SimpleNamespace(v2=SimpleNamespace(services=lambda _sid: service)))
    verify = TwilioVerify.__new__(TwilioVerify)
    verify._service_sid = "VA1"
    verify.api = SimpleNamespace(call=lambda ask: ask(client))  # type: ignore[assignment]
    assert await verify.start("+4915112345679", lang=tag) == "VE1"
    assert create.await_args is not None
    assert create.await_args.kwargs["locale"] in OF_VERIFY


@pytest.mark.parametrize("tag", NAMES)
def test_a_call_speaks_every_language(tag: str) -> None:
    voice, greeting, again, end = SENTENCES[tag]
    assert voice.partition("-")[0] == tag.partition("-")[0]
    said = twiml("12", tag)
    assert all(f'language="{voice}">{text}<' in said for text in (greeting, "1. 2.", again, end))


def test_a_database_of_places_calls_simplified_chinese_by_the_place() -> None:
    names = {"names": {"en": "Cologne", "zh-CN": "科隆", "pt-BR": "Colônia"}}
    expected = {"zh-Hans": "科隆", "zh-Hant": "Cologne", "pt-BR": "Colônia", "tr": "Cologne"}
    assert {tag: _name(names, tag) for tag in expected} == expected
