"""The languages that the gateway speaks, each with its catalogue in gateway/i18n/locales. English needs none."""

import gettext
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from gateway.i18n.text import Text

LOCALES = Path(__file__).resolve().parent / "locales"
NAMES = {
    "en": "English",
    "ar": "العربية",
    "de": "Deutsch",
    "es": "Español",
    "fr": "Français",
    "it": "Italiano",
    "ja": "日本語",
    "ko": "한국어",
    "nl": "Nederlands",
    "pl": "Polski",
    "pt-BR": "Português (Brasil)",
    "ru": "Русский",
    "tr": "Türkçe",
    "zh-Hans": "简体中文",
    "zh-Hant": "繁體中文",
}
"""What each language calls itself: a reader who is lost in another one must find it."""

_THOUSANDS = {
    "de": ".",
    "es": ".",
    "fr": "\u202f",
    "it": ".",
    "nl": ".",
    "pl": "\u00a0",
    "pt-BR": ".",
    "ru": "\u00a0",
    "tr": ".",
}
_RIGHT_TO_LEFT = frozenset({"ar", "ckb", "dv", "fa", "he", "ks", "ps", "sd", "ug", "ur", "yi"})


class Language:
    """Says things in one language. `tag` is what HTML calls it (BCP 47), `direction` how it is written."""

    def __init__(self, tag: str, messages: gettext.NullTranslations) -> None:
        self.tag, self._messages = tag, messages
        self.direction = "rtl" if tag.partition("-")[0] in _RIGHT_TO_LEFT else "ltr"

    def text(self, value: str) -> str:
        """A Text in this language; every other string is somebody's own and stays as it is."""
        if not isinstance(value, Text):
            return value
        if value.many:
            return self.plural(value.one, value.many, value.values)
        return self.say(value.one, value.values)

    def say(self, message: str, values: Mapping[str, object]) -> str:
        return (self._messages.gettext(message) if message else "") % self._spoken(values)

    def plural(self, one: str, many: str, values: Mapping[str, object]) -> str:
        """In the form that `count` takes in this language."""
        count = values["count"]
        assert isinstance(count, int)
        return self._messages.ngettext(one, many, count) % self._spoken(values)

    def _spoken(self, values: Mapping[str, object]) -> dict[str, object]:
        return {name: self._word(value) for name, value in values.items()}

    def _word(self, value: object) -> object:
        if isinstance(value, str):
            return self.text(value)
        return self.number(value) if isinstance(value, int) else value

    def number(self, value: int) -> str:
        """With the sign between thousands that the language uses."""
        return f"{value:,}".replace(",", _THOUSANDS.get(self.tag, ","))


class CatalogueMissing(RuntimeError):
    """A catalogue was not compiled: this is a checkout that nobody installed. The message says what to do."""


@cache
def language(tag: str, folder: Path = LOCALES) -> Language:
    """The language `tag` (a key of NAMES), read once from its compiled catalogue below `folder`.

    The format: https://www.gnu.org/software/gettext/manual/html_node/MO-Files.html. Raises CatalogueMissing.
    """
    if tag == "en":
        return Language(tag, gettext.NullTranslations())
    file = folder / tag / "LC_MESSAGES" / "messages.mo"
    try:
        with file.open("rb") as compiled:
            return Language(tag, gettext.GNUTranslations(compiled))
    except FileNotFoundError as error:
        raise CatalogueMissing(
            f"{file} is missing: `pip install -e .` compiles the catalogues, or `python -m gateway.i18n.compile` where "
            "Babel is installed"
        ) from error
