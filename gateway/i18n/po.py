"""Reads a gettext catalogue (.po) as it stands in the repository, into what Python's gettext understands.

No compiled file lies about to be forgotten or to go stale: a clone and a wheel hold the same text that translators
edit. The formats: https://www.gnu.org/software/gettext/manual/html_node/PO-Files.html and MO-Files.html.
"""

import ast
import gettext
import io
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

_LINE = re.compile(r'(?:(msgctxt|msgid_plural|msgid|msgstr(?:\[\d+\])?)\s+)?(".*")')
_MAGIC = 0x950412DE


@dataclass(slots=True)
class PoMessage:
    """One message. `parts` is keyed as the file writes it: msgid, msgid_plural, msgstr, msgstr[0] …"""

    parts: dict[str, str] = field(default_factory=dict)
    fuzzy: bool = False

    @property
    def key(self) -> str:
        plural = self.parts.get("msgid_plural")
        return self.parts.get("msgid", "") + ("" if plural is None else f"\0{plural}")

    @property
    def forms(self) -> list[str]:
        """The translations: one, or one for each plural form."""
        return [text for name, text in self.parts.items() if name.startswith("msgstr")]


def entries(source: str) -> Iterator[PoMessage]:
    """All messages of a catalogue, its header (the one without msgid) first."""
    for block in re.split(r"\n[ \t]*\n", source):
        entry, name = PoMessage(), ""
        for line in block.splitlines():
            match = _LINE.fullmatch(line.strip())
            if line.startswith("#,") and "fuzzy" in line:
                entry.fuzzy = True
            elif match is not None:
                name = match[1] or name
                entry.parts[name] = entry.parts.get(name, "") + str(ast.literal_eval(match[2]))
        if "msgid" in entry.parts:
            yield entry


def translations(source: str) -> gettext.GNUTranslations:
    """What the catalogue says. Messages that are missing or marked fuzzy stay in English."""
    told = {
        entry.key.encode(): "\0".join(entry.forms).encode()
        for entry in entries(source)
        if all(entry.forms) and (not entry.fuzzy or not entry.key)
    }
    return gettext.GNUTranslations(io.BytesIO(_compiled(told)))


def _compiled(told: dict[bytes, bytes]) -> bytes:
    """The same as msgfmt writes: a header, two tables of (length, offset), and the texts, each ended by NUL."""
    keys = sorted(told)
    head, row = 28, 8
    place = head + 2 * row * len(keys)
    tables, texts = b"", b""
    for text in (*keys, *(told[key] for key in keys)):
        tables += struct.pack("<II", len(text), place + len(texts))
        texts += text + b"\0"
    second = head + row * len(keys)
    return struct.pack("<7I", _MAGIC, 0, len(keys), head, second, 0, place) + tables + texts
