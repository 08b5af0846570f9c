"""`python -m gateway.i18n.extract` (`make messages`): brings the catalogues in line with templates and code.

For development only, since it needs Babel. New messages come in untranslated, those that nothing says any more go.
"""

import io
from collections.abc import Iterator
from pathlib import Path

from babel import Locale
from babel.messages import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

from gateway.i18n.catalogues import LOCALES, NAMES

PACKAGE = LOCALES.parents[1]
TEMPLATES = PACKAGE.parent / "templates"
_IN_TEMPLATES = {"_": None, "gettext": None, "ngettext": (1, 2)}
_IN_CODE = {"N_": None, "NN_": (1, 2)}
_HEADER = """\
msgid ""
msgstr ""
"Language: {tag}\\n"
"MIME-Version: 1.0\\n"
"Content-Type: text/plain; charset=UTF-8\\n"
"Content-Transfer-Encoding: 8bit\\n"
"Plural-Forms: {plural}\\n"

"""


def extracted() -> Catalog:
    """All messages that templates and code say now."""
    found = Catalog()
    for file, message, comments in _messages():
        found.add(message, None, [(file, 0)], auto_comments=comments)
    return found


def _messages() -> Iterator[tuple[str, str | tuple[str, ...], list[str]]]:
    """File, message and what is said to translators about it."""
    options = {"trimmed": "true", "newstyle_gettext": "true"}
    sources = [
        (TEMPLATES, [("**", "jinja2.ext:babel_extract")], {"**": options}, _IN_TEMPLATES),
        (PACKAGE, [("**.py", "python")], None, _IN_CODE),
    ]
    for folder, methods, how, keywords in sources:
        for file, _line, message, comments, _context in extract_from_dir(
            folder, methods, how, keywords, comment_tags=["Translators:"], strip_comment_tags=True
        ):
            yield f"{folder.name}/{file}", message, comments


def catalogue_file(tag: str) -> Path:
    return LOCALES / tag / "LC_MESSAGES" / "messages.po"


def read(tag: str) -> Catalog:
    file = catalogue_file(tag)
    return read_po(io.BytesIO(file.read_bytes() if file.exists() else b""), locale=Locale.parse(tag, sep="-"))


def write(tag: str, catalogue: Catalog) -> None:
    """Without dates and line numbers: a change of the catalogue shows what was changed, and nothing else."""
    out = io.BytesIO()
    write_po(
        out,
        catalogue,
        width=100,
        omit_header=True,
        ignore_obsolete=True,
        sort_by_file=True,
        include_previous=False,
        include_lineno=False,
    )
    file = catalogue_file(tag)
    file.parent.mkdir(parents=True, exist_ok=True)
    header = _HEADER.format(tag=tag, plural=catalogue.plural_forms)
    file.write_text(header + out.getvalue().decode(), encoding="utf-8")


def main() -> None:
    """Bring every catalogue up to date with the texts of the source, and print what is to be translated."""
    template = extracted()
    for tag in NAMES:
        if tag != "en":
            catalogue = read(tag)
            catalogue.update(template, no_fuzzy_matching=True)
            write(tag, catalogue)
            missing = [message.id for message in catalogue if message.id and not _complete(message.string)]
            print(f"{tag}: {len(catalogue)} messages, {len(missing)} to translate", *missing, sep="\n  ")


def _complete(said: str | tuple[str, ...] | list[str] | None) -> bool:
    return bool(said) and all(said or ())


if __name__ == "__main__":
    main()
