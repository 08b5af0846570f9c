"""The catalogues are complete and say the same as the English, and no template says anything that nobody marked."""

import gettext
import re
from collections import Counter
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any, get_args

import pytest
from jinja2 import Environment, FileSystemLoader, nodes

from gateway.config.schema import Branding, Language
from gateway.errors import TooManyAttempts
from gateway.i18n.catalogues import LOCALES, NAMES, language
from gateway.i18n.extract import extracted, read
from gateway.i18n.text import N_
from gateway.portal.rendering.render import moment
from gateway.portal.rendering.texts import too_many
from tests.visible_text import Visible

ROOT = Path(__file__).resolve().parents[3]
TAGS = sorted(set(NAMES) - {"en"})
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
WANTED = {one.id: one for one in extracted() if one.id}

# What must be the same in every language: place holders, markup, what scripts fill in, addresses.
FIXED = re.compile(r"%\(\w+\)s|%%|<[^>]*>|\{\w+\}|START|JavaScript")


COUNTS = {"%(count)s", "%(days)s"}
"""Arabic has forms for one and for two that say the number themselves ("دقيقتين"): a figure beside them is wrong."""


def forms_of_one_number(tag: str) -> set[int]:
    """Which plural forms of a language are for one number alone."""
    rule = gettext.c2py(read(tag).plural_expr)  # type: ignore[attr-defined]
    uses = Counter(rule(number) for number in range(1000))
    return {form for form, numbers in uses.items() if numbers == 1}


def forms(text: str | tuple[str, ...]) -> list[str]:
    return [text] if isinstance(text, str) else list(text)


# -- catalogues ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tag", TAGS)
def test_every_message_is_translated(tag: str) -> None:
    catalogue = {one.id: one for one in read(tag) if one.id}
    assert sorted(str(id) for id in WANTED if id not in catalogue) == [], "run `make messages`"
    assert [one.id for one in catalogue.values() if not all(forms(one.string)) or one.fuzzy] == []
    assert sorted(str(id) for id in catalogue if id not in WANTED) == [], "run `make messages`"


@pytest.mark.parametrize("tag", TAGS)
def test_place_holders_and_markup_are_those_of_the_english(tag: str) -> None:
    alone = forms_of_one_number(tag)
    for one in read(tag):
        expected = sorted(FIXED.findall(forms(one.id)[-1]))
        for form, said in enumerate(forms(one.string) if one.id else []):
            fixed = sorted(FIXED.findall(said))
            wordy = form in alone and isinstance(one.id, tuple)
            assert fixed == expected or (
                wordy and fixed == [part for part in expected if part not in COUNTS]
            ), one.id
            # Translations stand in attributes and between tags as they are.
            assert '"' not in said or '"' in forms(one.id)[-1], one.id
            assert said.count("\n") == forms(one.id)[-1].count("\n"), one.id
            assert said == said.strip(" ")


@pytest.mark.parametrize("tag", TAGS)
def test_the_gateway_says_what_the_catalogue_says(tag: str) -> None:
    """Every message in its place, and plural forms as the language's own rule (Plural-Forms) has them."""
    spoken = language(tag)
    for one in read(tag):
        if not (one.id and all(forms(one.string))):
            continue
        values = {name: f"<{name}>" for name in re.findall(r"%\((\w+)\)s", forms(one.id)[-1])}
        if isinstance(one.id, str):
            assert spoken.say(one.id, values) == one.string % values
        else:
            for count in (0, 1, 2, 5, 1_000_000):
                told = spoken.plural(*one.id, values | {"count": count})
                assert told in [form % (values | {"count": spoken.number(count)}) for form in one.string]


def test_the_languages_are_those_that_the_configuration_knows() -> None:
    folders = {folder.name for folder in LOCALES.iterdir() if folder.is_dir()}
    assert folders == set(TAGS)
    assert set(NAMES) == set(get_args(Language)) == set(Branding().languages)


def test_no_two_languages_say_the_same_sentence() -> None:
    """Somebody once pasted the German into every catalogue: complete, with the right place holders, and wrong."""
    same = []
    said = {tag: {one.id: forms(one.string) for one in read(tag) if one.id} for tag in TAGS}
    said["en"] = {id: forms(id) for id in WANTED}
    for (one, its), (other, theirs) in combinations(said.items(), 2):
        for id in its.keys() & theirs.keys():
            shared = set(its[id]) & set(theirs[id])
            same += [(one, other, text) for text in shared if letters(text) > WORD]
    assert same == []


WORD = 14
"""Languages share words of so many letters ("Administration"), but no sentences."""


def letters(text: str) -> int:
    return sum(letter.isalpha() for letter in FIXED.sub("", text))


# -- a few whole sentences -----------------------------------------------------------------------------------------


def test_every_place_holder_is_a_string() -> None:
    """Numbers arrive written as the language writes them, so `%(count)d` would fail."""
    wrong = [id for id in WANTED if re.search(r"%(?!%|\(\w+\)s)", "".join(forms(id)).replace("%%", ""))]
    assert wrong == []


def test_numbers_times_and_nested_texts_are_in_the_language() -> None:
    limit = TooManyAttempts(retry_after=540)
    assert language("de").text(too_many(limit)) == (
        "Zu viele Versuche. Bitte warten Sie 9 Minuten und versuchen Sie es dann noch einmal."
    )
    moments = {
        tag: (language(tag).number(1234567), language(tag).text(moment(1_800_000_000))) for tag in NAMES
    }
    assert moments == {
        "en": ("1,234,567", "2027-01-15 08:00"),
        "ar": ("1,234,567", "2027/01/15 08:00"),
        "de": ("1.234.567", "15.01.2027, 08:00"),
        "es": ("1.234.567", "15/01/2027 08:00"),
        "fr": ("1\u202f234\u202f567", "15/01/2027 08:00"),
        "it": ("1.234.567", "15/01/2027 08:00"),
        "ja": ("1,234,567", "2027/01/15 08:00"),
        "ko": ("1,234,567", "2027. 01. 15. 08:00"),
        "nl": ("1.234.567", "15-01-2027 08:00"),
        "pl": ("1\u00a0234\u00a0567", "15.01.2027 08:00"),
        "pt-BR": ("1.234.567", "15/01/2027 08:00"),
        "ru": ("1\u00a0234\u00a0567", "15.01.2027 08:00"),
        "tr": ("1.234.567", "15.01.2027 08:00"),
        "zh-Hans": ("1,234,567", "2027/01/15 08:00"),
        "zh-Hant": ("1,234,567", "2027/01/15 08:00"),
    }
    assert (
        language("fr").text(N_("%(event)s: %(factor)s", event=N_("Signed in"), factor="x"))
        == "Connexion\u00a0: x"
    )


# -- templates -----------------------------------------------------------------------------------------------------

NOT_WORDS = {
    "width=device-width, initial-scale=1": "for browsers",
    "light dark": "for browsers",
    "noindex": "for robots",
    "0;url=": "for browsers without scripts",
    "UTC": "the same in every language",
    "wide": "a class of the body (block `width`)",
    "wide admin": "classes of the body (block `width`)",
    "auth-gateway": "a name",
    "by": "a key of the audit log, shown as it is written there",
    "max_age": "a key of the configuration",
    "5xx": "a class of statuses",
    "≤  ms": "a unit",
}
"""Text in templates that nobody reads -> why."""


def unmarked(source: str) -> Iterator[str]:
    """Text that a template shows without `_()` or `{% trans %}`."""
    environment = Environment(extensions=["jinja2.ext.i18n"], loader=FileSystemLoader(ROOT / "templates"))
    environment.newstyle_gettext = True  # type: ignore[attr-defined]
    tree = environment.parse(source)
    pieces = [_piece(child) for output in tree.find_all(nodes.Output) for child in output.nodes]
    for text in Visible("".join(pieces)).found:
        words = text.replace("\0", "").strip()
        if re.search(r"[^\W\d_]{2}", words) and words not in NOT_WORDS:
            yield words
    yield from _constants(tree)


def _piece(node: nodes.Node) -> str:
    return node.data if isinstance(node, nodes.TemplateData) else "\0"


def _constants(node: nodes.Node) -> Iterator[str]:
    """Sentences in expressions, such as `{{ "Yes" if done else "Not yet" }}`: they begin with a capital letter."""
    for child in node.iter_child_nodes():
        if isinstance(child, nodes.Const):
            if isinstance(child.value, str) and re.match(r"[A-Z][a-z]", child.value):
                yield child.value
        elif not _is_marked(child):
            yield from _constants(child)


def _is_marked(node: nodes.Node) -> bool:
    return isinstance(node, nodes.Call) and getattr(node.node, "name", "") in ("_", "gettext", "ngettext")


@pytest.mark.parametrize("file", TEMPLATES, ids=lambda file: file.name)
def test_all_that_a_template_says_is_marked(file: Path) -> None:
    assert list(unmarked(file.read_text())) == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("<p>Hello</p>", ["Hello"]),
        ("<p>{{ _('Hello') }}</p>", []),
        ("<p>{% trans %}Hello{% endtrans %} {{ name }}</p>", []),
        ("{% if a %}<b>or</b> so{% endif %}", ["or", "so"]),
        ("<a aria-label='Close' href='Close' class=Close>x</a>", ["Close"]),
        ("<a aria-label='{{ _('Close') }}: {{ x }}'>×</a>", []),
        ("{{ 'Yes' if done else 'no' }}", ["Yes"]),
        ("{% set a = {'x': 'Check this', 'y': _('That')} %}", ["Check this"]),
        ("{# Comment #}<!-- Note --><input value='Username'>", []),
    ],
)
def test_unmarked_text_would_be_found(source: str, found: list[Any]) -> None:
    assert list(unmarked(source)) == found
