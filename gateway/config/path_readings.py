"""How apps might read a path other than we do. Pure.

A path that an app may take for another one must get the same answer as both (`policy.decide`): else a rule for one
opens the other. Frameworks decode twice or more, take overlong UTF-8 for what it hides (RFC 3629 §10), and fold
characters that only look like dots and slashes (Unicode NFKC).
"""

import re
import unicodedata
from collections.abc import Iterator

_SLASHES = re.compile(r"%2F|/+")
_PARAMETERS = re.compile(r"(?:;|%3B)[^/]*")


_TWICE = re.compile(r"%25([0-9A-Fa-f]{2})")
_BEYOND_ASCII = re.compile(r"(?:%[89A-Fa-f][0-9A-Fa-f])+")
_OVERLONG = re.compile(rb"([\xc0\xc1][\x80-\xbf]|\xe0[\x80-\x9f][\x80-\xbf]|\xf0[\x80-\x8f][\x80-\xbf]{2})")
_DEEPEST = 8
"""Times that an app may decode. What is still not plain then is a path of nobody."""
_NOBODYS = ""


def readings(path: str) -> tuple[str, ...]:
    """The path, and how an app might read it: slashes decoded, `;parameters` dropped, `//` merged, escapes decoded
    again.
    """
    found = [path]
    if "//" in path or ";" in path or "%2F" in path or "%3B" in path:
        found.append(_flat(path))
    if "%" in path:
        found += [
            _without_dots(_flat(deeper)) if deeper else _NOBODYS for deeper in _decoded_again_and_again(path)
        ]
    return tuple(found)


def _decoded_again_and_again(path: str) -> Iterator[str]:
    """The path as each further decoding leaves it; "" at last if there is no end to it."""
    for _ in range(_DEEPEST):
        deeper = _BEYOND_ASCII.sub(_looks_like, _TWICE.sub(_decoded_again, path))
        if deeper == path:
            return
        path = deeper
        yield path
    yield _NOBODYS


def _looks_like(match: re.Match[str]) -> str:
    """Escapes beyond ASCII, with those that stand for ASCII when read loosely written as that."""
    pieces = _OVERLONG.split(bytes.fromhex(match[0].replace("%", "")))
    return "".join(_overlong(piece) if number % 2 else _folded(piece) for number, piece in enumerate(pieces))


def _overlong(piece: bytes) -> str:
    code = 0
    for byte in (
        piece[0] & 0x1F if len(piece) == 2 else piece[0] & 0x0F if len(piece) == 3 else 0,
        *piece[1:],
    ):
        code = code << 6 | byte & 0x3F
    return _plainly(chr(code)) if code < 0x80 else _escaped(piece)


def _folded(piece: bytes) -> str:
    return "".join(map(_folded_character, piece.decode("utf-8", "surrogateescape")))


def _folded_character(character: str) -> str:
    alike = unicodedata.normalize("NFKC", character)
    if alike != character and alike.isascii():
        return "".join(map(_plainly, alike))
    return _escaped(character.encode("utf-8", "surrogateescape"))


def _escaped(piece: bytes) -> str:
    return "".join(f"%{byte:02X}" for byte in piece)


def _flat(path: str) -> str:
    return _SLASHES.sub("/", _PARAMETERS.sub("", _SLASHES.sub("/", path)))


def _decoded_again(match: re.Match[str]) -> str:
    return _plainly(chr(int(match[1], 16)))


def _plainly(character: str) -> str:
    """A character that was hidden, as a canonical path would have it."""
    if character in "/\\":
        return "/"
    plain = character.isascii() and (character.isalnum() or character in "-._~;")
    return character if plain else f"%{ord(character):02X}"


def _without_dots(path: str) -> str:
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            del kept[max(1, len(kept) - 1) :]
        elif segment != ".":
            kept.append(segment)
    return "/".join(kept) if len(kept) > 1 else "/"
