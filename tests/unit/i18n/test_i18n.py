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
