"""English sentences that remember how they were made, so that a page or a mail can say them in another language.

A Text is its English: logs, JSON and tests read it as such. Only `Language.text`, at the edge, translates. Whatever
people read is written `N_("…")` where it arises; nothing in between needs to know a language.
"""

from collections.abc import Mapping, Sequence
from functools import reduce


class Text(str):
    """Made by `N_` and `NN_`. `one` and `many` are the msgids, `values` what stands in their place holders."""

    one: str
    many: str
    values: Mapping[str, object]

    def __new__(cls, one: str, many: str, values: Mapping[str, object]) -> "Text":
        text = super().__new__(cls, (many if many and values["count"] != 1 else one) % values)
        text.one, text.many, text.values = one, many, values
        return text


def N_(message: str, **values: object) -> Text:
    """The sentence `message`; `%(name)s` in it is the value `name`, which may be a Text too."""
    return Text(message, "", values)


def NN_(one: str, many: str, count: int, **values: object) -> Text:
    """Return a text that has a singular and a plural, chosen by `%(count)s` of items; other languages have more forms
    than two.
    """
    return Text(one, many, {"count": count, **values})


def joined(parts: Sequence[str], between: str = " ") -> Text:
    """Several sentences as one text."""

    def pair(before: Text, after: str) -> Text:
        values = {"before": before, "between": between, "after": after}
        return Text("%(before)s%(between)s%(after)s", "", values)

    first = Text("%(text)s", "", {"text": parts[0] if parts else ""})
    return reduce(pair, parts[1:], first)


def duration(seconds: float) -> Text:
    """A time to wait, rounded as people would."""
    if seconds < 100:
        return NN_("%(count)s second", "%(count)s seconds", round(seconds))
    if seconds < 2 * 3600 and seconds != 3600:
        return NN_("%(count)s minute", "%(count)s minutes", round(seconds / 60))
    if seconds < 86400:
        return NN_("%(count)s hour", "%(count)s hours", round(seconds / 3600))
    return NN_("%(count)s day", "%(count)s days", round(seconds / 86400))
