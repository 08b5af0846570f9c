import gettext
import io
import os
from pathlib import Path

import pytest

from gateway.i18n.catalogues import LOCALES, NAMES, CatalogueMissing, Language, language
from gateway.i18n.compile import compile_catalogues, compiled
from gateway.i18n.text import N_, NN_, duration, joined
from gateway.portal.request import preferred

OFFERED = ("en", "de", "es", "fr", "ja", "zh-Hant")
CATALOGUE = r"""
msgid ""
msgstr ""
"Content-Type: text/plain; charset=UTF-8\n"
"Plural-Forms: nplurals=3; plural=(n==1 ? 0 : n<5 ? 1 : 2);\n"

#: some/file.py
#, python-format
msgid "Ask %(who)s."
msgstr ""
"Frag "
"%(who)s."

msgid "your \"boss\"\n"
msgstr "deinen „Chef“\n"

#, fuzzy
msgid "Guessed"
msgstr "Geraten"

msgid "%(count)s second"
msgid_plural "%(count)s seconds"
msgstr[0] "%(count)s A"
msgstr[1] "%(count)s B"
msgstr[2] "%(count)s C"

msgid "Missing"
msgstr ""

#~ msgid "Old"
#~ msgstr "Alt"
"""


def messages() -> gettext.GNUTranslations:
    return gettext.GNUTranslations(io.BytesIO(compiled(CATALOGUE.encode(), "de")))


def spoken() -> Language:
    return Language("de", messages())


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("de", "de"),
        ("DE-at-1996", "de"),
        ("nl, fr;q=0.3, es;q=0.8", "es"),
        ("ja;q=0.5,en;q=0.5", "ja"),
        ("de;q=0, fr;q=0.1", "fr"),
        ("zh-hant-tw", "zh-Hant"),
        ("zh", None),
        ("en-a-bbb-x-a-ccc", "en"),
        ("*", None),
        ("", None),
        (";;;,=,q=1;q=x, de;q=2, ,-,--", None),
        ("xx," * 5000 + "de", None),
    ],
)
def test_the_language_wanted_most_is_found_by_lookup(header: str, expected: str | None) -> None:
    assert preferred(header, OFFERED) == expected


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        *[
            (header, "zh-Hans")
            for header in ("zh", "zh-CN", "zh-SG", "zh-Hans", "zh-Hans-CN", "zh-Hans-HK", "zh-cmn")
        ],
        *[
            (header, "zh-Hant")
            for header in ("zh-TW", "zh-HK", "zh-MO", "zh-Hant", "zh-Hant-CN", "zh-Hant-HK", "yue-HK")
        ],
        *[(header, "pt-BR") for header in ("pt", "pt-BR", "pt-PT", "pt-AO", "PT-br")],
        *[(header, header[:2]) for header in ("ar-EG", "it-CH", "ko-KR", "nl-BE", "pl-PL", "ru-UA", "tr-CY")],
        ("zh-TW,zh;q=0.9,en-US;q=0.8,en;q=0.7", "zh-Hant"),  # Chrome in Taiwan
        ("zh-CN,zh;q=0.8,zh-TW;q=0.7,zh-HK;q=0.5,en-US;q=0.3,en;q=0.2", "zh-Hans"),  # Firefox in China
        ("pt-PT,pt;q=0.8,en;q=0.5,en-US;q=0.3", "pt-BR"),
        ("sv, zh-HK;q=0.2, de;q=0.1", "zh-Hant"),
    ],
)
def test_chinese_and_portuguese_are_found_by_the_place_that_browsers_name(header: str, expected: str) -> None:
    assert preferred(header, tuple(NAMES)) == expected


def test_who_gets_no_traditional_chinese_gets_the_other_and_not_english() -> None:
    assert preferred("zh-TW", ("en", "zh-Hans")) == "zh-Hans"
    assert preferred("zh-CN", ("en", "zh-Hant")) is None


def test_a_text_is_its_english_until_it_is_told_to_somebody() -> None:
    text = N_("Ask %(who)s.", who=N_('your "boss"\n'))
    assert text == 'Ask your "boss"\n.'
    assert spoken().text(text) == "Frag deinen „Chef“\n."


def test_a_string_that_is_no_text_is_somebodys_own() -> None:
    assert spoken().text('your "boss"\n') == 'your "boss"\n'


@pytest.mark.parametrize("message", ["Guessed", "Missing", "Old", "Nobody knows this"])
def test_what_is_not_translated_for_sure_stays_english(message: str) -> None:
    assert spoken().text(N_(message)) == message


@pytest.mark.parametrize(("count", "form"), [(1, "1 A"), (2, "2 B"), (7, "7 C")])
def test_numbers_take_the_form_of_their_language(count: int, form: str) -> None:
    text = NN_("%(count)s second", "%(count)s seconds", count)
    assert text == f"{count} second{'' if count == 1 else 's'}"
    assert spoken().text(text) == form


@pytest.mark.parametrize(
    ("tag", "spoken"),
    [
        (
            "ru",
            "1 секунда, 2 секунды, 5 секунд, 11 секунд, 21 секунда, 22 секунды, 25 секунд, 100 секунд, 101 секунда",
        ),
        (
            "pl",
            "1 sekunda, 2 sekundy, 5 sekund, 11 sekund, 21 sekund, 22 sekundy, 25 sekund, 100 sekund, 101 sekund",
        ),
        (
            "ar",
            "ثانية واحدة, ثانيتين, 5 ثوانٍ, 11 ثانية, 21 ثانية, 22 ثانية, 25 ثانية, 100 ثانية, 101 ثانية",
        ),
        (
            "tr",
            "1 saniye, 2 saniye, 5 saniye, 11 saniye, 21 saniye, 22 saniye, 25 saniye, 100 saniye, 101 saniye",
        ),
        ("zh-Hans", "1 秒, 2 秒, 5 秒, 11 秒, 21 秒, 22 秒, 25 秒, 100 秒, 101 秒"),
    ],
)
def test_counted_things_take_the_form_that_their_number_asks_for(tag: str, spoken: str) -> None:
    counts = (1, 2, 5, 11, 21, 22, 25, 100, 101)
    texts = [NN_("%(count)s second", "%(count)s seconds", count) for count in counts]
    assert ", ".join(language(tag).text(text) for text in texts) == spoken


def test_arabic_has_a_form_for_three_to_ten_in_every_hundred() -> None:
    days = [NN_("%(count)s day", "%(count)s days", count) for count in (0, 3, 10, 99, 103, 1000)]
    expected = ["0 يوم", "3 أيام", "10 أيام", "99 يومًا", "103 أيام", "1,000 يوم"]
    assert [language("ar").text(text) for text in days] == expected


def test_sentences_can_be_joined() -> None:
    text = joined([N_("Ask %(who)s.", who="Ann"), "100 %", NN_("%(count)s second", "%(count)s seconds", 1)])
    assert text == "Ask Ann. 100 % 1 second"
    assert spoken().text(text) == "Frag Ann. 100 % 1 A"
    assert joined([]) == spoken().text(joined([])) == ""


@pytest.mark.parametrize(("seconds", "words"), [(1, "1 second"), (99, "99 seconds"), (100, "2 minutes")])
def test_a_duration_is_rounded_as_people_would(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_direction_follows_the_script() -> None:
    directions = {tag: Language(tag, messages()).direction for tag in ("ar-EG", "he", "ja")}
    assert directions == {"ar-EG": "rtl", "he": "rtl", "ja": "ltr"}


# -- compiled catalogues -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tag", sorted(set(NAMES) - {"en"}))
def test_the_compiled_catalogue_is_that_of_the_source(tag: str) -> None:
    folder = LOCALES / tag / "LC_MESSAGES"
    source, target = (folder / "messages.po").read_bytes(), (folder / "messages.mo").read_bytes()
    assert target == compiled(source, tag), "stale: run `make messages`"


def test_a_catalogue_that_was_not_compiled_is_named_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(
        CatalogueMissing, match=r"de/LC_MESSAGES/messages\.mo is missing: `pip install -e \.`"
    ):
        language("de", tmp_path)


def test_a_catalogue_is_compiled_again_once_it_was_edited(tmp_path: Path) -> None:
    source = tmp_path / "de" / "LC_MESSAGES" / "messages.po"
    source.parent.mkdir(parents=True)
    source.write_text(CATALOGUE)
    target = source.with_suffix(".mo")
    assert compile_catalogues(tmp_path, only_stale=True) == [target]
    os.utime(source, (1, 1))
    assert compile_catalogues(tmp_path, only_stale=True) == []
    source.write_text(CATALOGUE.replace("Frag ", "Frage "))
    os.utime(target, (1, 1))
    assert compile_catalogues(tmp_path, only_stale=True) == [target]
    assert language("de", tmp_path).say("Ask %(who)s.", {"who": "Ann"}) == "Frage Ann."
    assert sorted(path.name for path in target.parent.iterdir()) == ["messages.mo", "messages.po"]
