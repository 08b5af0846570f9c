"""No page, mail, SMS or script mixes languages: what nobody marked, what was glued together and what stayed English."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from gateway.config.schema import Branding
from gateway.i18n.catalogues import NAMES, language
from gateway.i18n.extract import extracted
from gateway.portal.rendering.render import Pages
from gateway.portal.request import Reader
from tests.page_samples import NAMES as SAMPLES
from tests.page_samples import sample
from tests.visible_text import Visible

ROOT = Path(__file__).resolve().parents[3]
HOLES = re.compile(r"%\(\w+\)s|%%|<[^>]*>|\{\w+\}")
PAGES = Pages(Branding(name="Harbour Labs"))


# -- pages ---------------------------------------------------------------------------------------------------------


@cache
def english() -> list[tuple[str, str, str]]:
    """Every message as people would read it in English: the message, its plural, and a piece between place holders."""
    found = []
    for message in extracted():
        one, many = (message.id, "") if isinstance(message.id, str) else message.id
        pieces = {piece.strip(" .:,;\n") for piece in HOLES.split(one) + HOLES.split(many or one)}
        words = {piece for piece in pieces if " " in piece or len(pieces) == 1}  # "of" alone is Dutch, too
        found += [(one, many, piece) for piece in words if re.search(r"[^\W\d_]{2}", piece)]
    return found


def left_in_english(tag: str, chunks: set[str]) -> set[str]:
    """What of `chunks`, the visible texts of a page in language `tag`, the English catalogue says.

    Pieces of several words count wherever they stand, single words if nothing stands beside them. What a language says
    as English does ("Administration") is its own word.
    """
    spoken, whole = language(tag), "\n".join(chunks)
    alone = {chunk.strip(" .:,;") for chunk in chunks}
    found = set()
    for one, many, piece in english():
        if (piece in whole) if " " in piece else (piece in alone):
            values = {
                name: 2 if name in ("count", "days") else ""
                for name in re.findall(r"%\((\w+)\)s", one + many)
            }
            told = spoken.plural(one, many, {"count": 2, **values}) if many else spoken.say(one, values)
            if piece not in told:
                found.add(piece)
    return found


DATA = {"Group", "Mail", "Start", "by", "until", "granted", "invited", "disabled", "up", "down"}
"""Words of the catalogue that samples use as names and keys."""


@pytest.mark.parametrize("tag", NAMES)
def test_every_page_names_its_language_and_says_nothing_in_english(tag: str) -> None:
    direction = "rtl" if tag == "ar" else "ltr"
    mixed: dict[str, set[str]] = {}
    for name in SAMPLES:
        response = sample(PAGES, name, Reader(tag, ""))
        page = str(response.text)
        assert f'<html lang="{tag}" dir="{direction}">' in page
        assert response.headers["Content-Language"] == tag
        mixed[name] = left_in_english(tag, {" ".join(text.split()) for text in Visible(page).found}) - DATA
    assert tag == "en" or {name: words for name, words in mixed.items() if words} == {}


def test_english_on_another_page_would_be_found() -> None:
    english_page = {"Wrong username or password. Schade", "Continue", "Yours, Harbour Labs", "Please wait"}
    assert left_in_english("de", english_page) == {"Wrong username or password", "Continue"}
    assert left_in_english("de", {"Weiter", "Administration", "Text message to Otto"}) == {"Text message"}


# -- code ----------------------------------------------------------------------------------------------------------


def glued(source: str) -> Iterator[int]:
    """Lines where a sentence becomes part of a string, and so stays English for ever: `joined` would keep it."""
    for node in ast.walk(ast.parse(source)):
        joins = isinstance(node, ast.Call) and getattr(node.func, "attr", "") in (
            "join",
            "format",
            "strip",
            "replace",
        )
        added = isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Mod)
        if (joins or added or isinstance(node, ast.JoinedStr)) and any(map(_marks, ast.walk(node))):
            yield node.lineno


def _marks(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("N_", "NN_", "duration", "joined")


def test_no_sentence_is_glued_into_a_string() -> None:
    files = sorted((ROOT / "gateway").rglob("*.py"))
    assert [f"{file.relative_to(ROOT)}:{line}" for file in files for line in glued(file.read_text())] == []


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("f\"{N_('Hello')}!\"", [1]),
        ('a = 1\nb = N_("Hello") + "!"', [2]),
        ('", ".join([N_("Hello")])', [1]),
        ('"%s" % duration(5)', [1]),
        ('N_("%(a)s!", a=N_("Hello"))', []),
        ('say(N_("Hello"), f"{name}")', []),
    ],
)
def test_a_glued_sentence_would_be_found(source: str, lines: list[int]) -> None:
    assert list(glued(source)) == lines


SENTENCE = re.compile(r"""["'`]([A-Z][a-z]+ [a-z]+[^"'`]*|[A-Z][a-z’]+[^"'`]*[.!?])["'`]""")


def test_scripts_have_no_sentences_of_their_own() -> None:
    """They show what the page gave them in attributes, in its language."""
    scripts = sorted((ROOT / "gateway").rglob("static/*.js"))
    assert len(scripts) >= 7
    found = {file.name: SENTENCE.findall(re.sub(r"//.*", "", file.read_text())) for file in scripts}
    assert {name: said for name, said in found.items() if said} == {}
    assert SENTENCE.findall('x.textContent = "Please wait"; y("Copied.")') == ["Please wait", "Copied."]
