"""An SMS holds 160 letters of GSM 03.38 (3GPP TS 23.038 §6.2.1), but 70 of UCS-2; of several in a row, 153 or 67."""

import pytest

from gateway.authn.factors.sms import message
from gateway.i18n.catalogues import NAMES, language
from gateway.messaging.sms.phone_change_notice import notice
from gateway.portal.account.change_notices import second_phone_added

GSM = set(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
UCS2 = {"ar", "ja", "ko", "ru", "zh-Hans", "zh-Hant"}
"""Languages whose letters GSM 03.38 has not. All others are to be written in it, so that one letter costs nothing."""


def parts(text: str) -> int:
    one, several = (160, 153) if set(text) <= GSM else (70, 67)
    return 1 if len(text) <= one else -(-len(text) // several)


@pytest.mark.parametrize("tag", NAMES)
def test_a_code_fits_into_one_sms_and_browsers_find_it_there(tag: str) -> None:
    text = message("Harbour Labs", "12345678", "auth.harbour.example", tag)
    assert text.endswith("\n\n@auth.harbour.example #12345678")
    assert "12345678" in text.splitlines()[0]
    assert parts(text) == 1
    assert set(text) <= GSM or tag in UCS2


@pytest.mark.parametrize("tag", NAMES)
def test_texts_without_a_code_cost_two_at_most(tag: str) -> None:
    cases = [("", True), ("+4915112345679", True), ("+4915112345679", False)]
    texts = [language(tag).text(notice("Harbour Labs", phone, cools=cools)) for phone, cools in cases]
    texts.append(language(tag).text(second_phone_added("Harbour Labs")))
    assert [text for text in texts if parts(text) > 2] == []
    assert tag in UCS2 or [set(text) - GSM for text in texts] == [set()] * 4


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a" * 160, 1), ("a" * 161, 2), ("a" * 307, 3), ("ı" * 70, 1), ("ı" * 71, 2), ("ı" * 135, 3)],
)
def test_parts_are_counted_as_networks_do(text: str, expected: int) -> None:
    assert parts(text) == expected
