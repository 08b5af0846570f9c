"""Folds names for searching: case, accents and letters with strokes don't matter, on whatever database."""

import unicodedata

# Letters that Unicode does not take apart into a base and a mark, as people type them without.
_PLAIN = str.maketrans(
    {"ł": "l", "ø": "o", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i", "ħ": "h", "ŧ": "t"}
)


def folded(text: str) -> str:
    """Return the text as it is compared: "Łukasz" and "LUKASZ" are both "lukasz"."""
    apart = unicodedata.normalize("NFKD", text.casefold())
    plain = "".join(letter for letter in apart if not unicodedata.combining(letter))
    return plain.casefold().translate(_PLAIN)
