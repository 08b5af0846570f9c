"""One configuration in several files: joins what `include` names to the main file, before anything else is read.

Sections are joined key by key, and lists of sections (routes, rules, clients ...) end to end: the main file's first,
then those of the files in the order of `include`, files of one pattern by name. Anything else may be said once. Every
value remembers its file, so mistakes name the right one.
"""

import glob
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from gateway.config.substitution import expanded
from gateway.config.yaml_document import Document, KeyPath, parse, yaml_text
from gateway.errors import ConfigError

MOST_FILES = 1000


def join(document: Document, environ: Mapping[str, str]) -> None:
    """Put the included files into `document`, with their lines, sources and mistakes."""
    patterns = document.values.get("include")
    if not isinstance(patterns, list) or not all(isinstance(pattern, str) for pattern in patterns):
        return  # absent, or the schema says what it must be
    taken = {Path(document.file).resolve()}
    for index, pattern in enumerate(patterns):
        path: KeyPath = ("include", index)
        patterns[index] = expanded(document, path, pattern, environ)
        if path in document.bad:
            continue
        for file in _files(document, path, patterns[index]):
            if file.resolve() in taken:
                continue  # named twice, or the main file among its own folder's
            if len(taken) > MOST_FILES:
                document.add(path, f"makes more than {MOST_FILES} files", "name fewer")
                return
            taken.add(file.resolve())
            _include(document, file, path)


def _files(document: Document, path: KeyPath, pattern: str) -> Iterator[Path]:
    """What the pattern names, relative to the folder of the main file."""
    place = Path(document.file).parent / pattern
    if not glob.has_magic(pattern):
        if not pattern or "\0" in pattern:
            document.add(path, "is not a file path")
        else:
            yield place
        return
    document.sources.append(place)
    folder = Path(*place.parts[: next(i for i, part in enumerate(place.parts) if glob.has_magic(part))])
    if folder.is_dir():
        yield from (Path(name) for name in sorted(glob.glob(str(place))) if not Path(name).is_dir())
    else:
        document.add(path, f"the folder {folder} does not exist", "make it, or remove the entry")


def _include(document: Document, file: Path, path: KeyPath) -> None:
    document.sources.append(file)
    try:
        part = parse(yaml_text(file), str(file))
    except ConfigError as error:
        problem = f"the file {file} {error.mistakes[0].problem}"
        document.add(path, problem, "check the path and who may read it")
        return
    if part.values.pop("include", None) is not None:
        part.add(("include",), "an included file includes no others", "name them in the main file")
    merged = _Merge(document, part)
    merged.section(document.values, part.values, (), ())
    document.mistakes += part.mistakes
    document.bad |= {merged.moved[bad] for bad in part.bad if bad in merged.moved}


class _Merge:
    """Carries the values of one file into the document; `moved` says where each key went."""

    def __init__(self, document: Document, part: Document) -> None:
        self.document, self.part = document, part
        self.moved: dict[KeyPath, KeyPath] = {}

    def section(self, mine: dict[str, Any], theirs: dict[str, Any], here: KeyPath, there: KeyPath) -> None:
        for key, value in theirs.items():
            own = mine.get(key)
            if key not in mine:
                mine[key] = value
                self._move((*here, key), (*there, key))
            elif isinstance(own, dict) and isinstance(value, dict):
                self.section(own, value, (*here, key), (*there, key))
            elif isinstance(own, list) and isinstance(value, list) and _sections(own) and _sections(value):
                for index, item in enumerate(value):
                    self._move((*here, key, len(own)), (*there, key, index))
                    own.append(item)
            else:
                first = self.document.mistake((*here, key), "")
                problem = f"is given already in {first.file}, line {first.line}"
                self.part.add((*there, key), problem, "keep one of them")

    def _move(self, here: KeyPath, there: KeyPath) -> None:
        for path, line in self.part.lines.items():
            if path[: len(there)] == there:
                moved = here + path[len(there) :]
                self.document.lines[moved] = line
                self.document.files[moved] = self.part.file
                self.moved[path] = moved


def _sections(items: list[Any]) -> bool:
    return all(isinstance(item, dict) for item in items)
