"""`python -m gateway.i18n.compile`: makes messages.mo, which the gateway reads, of each messages.po, which people edit.

Needs Babel, as `make messages` does; wheels and `pip install -e .` have it done by `build_hook`. The compiled files are
build products: they are not in Git.
"""

import io
import os
from datetime import UTC, datetime
from pathlib import Path

from babel import Locale
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

LOCALES = Path(__file__).resolve().parent / "locales"
_DATE = datetime(2026, 1, 1, tzinfo=UTC)
"""The header needs one; always the same, so that the same catalogue compiles to the same bytes."""


def compiled(source: bytes, tag: str) -> bytes:
    """The compiled form (MO) of a catalogue (PO, UTF-8) in language `tag`.

    Messages that are not translated or marked fuzzy are left out, so they stay in English.
    Raises babel.messages.pofile.PoFileError.
    """
    catalogue = read_po(io.BytesIO(source), locale=Locale.parse(tag, sep="-"), abort_invalid=True)
    catalogue.creation_date = catalogue.revision_date = _DATE
    out = io.BytesIO()
    write_mo(out, catalogue)
    return out.getvalue()


def compile_catalogues(locales: Path = LOCALES, *, only_stale: bool = False) -> list[Path]:
    """Compile every catalogue below `locales`; returns the files that were written.

    `only_stale` leaves alone those that are newer than their source. Each file is replaced at once, so that others may
    do the same at the same time.
    """
    written = []
    for source in sorted(locales.glob("*/LC_MESSAGES/messages.po")):
        target = source.with_suffix(".mo")
        if only_stale and target.exists() and target.stat().st_mtime > source.stat().st_mtime:
            continue
        new = target.with_suffix(f".{os.getpid()}.new")
        new.write_bytes(compiled(source.read_bytes(), source.parts[-3]))
        new.replace(target)
        written.append(target)
    return written


if __name__ == "__main__":
    compile_catalogues()
