"""A YAML file as plain values, with the line of every key. Knows YAML, nothing of our schema.

YAML 1.2 core rules decide what a bare word is: `on`, `no` and `12:30` are text, as people expect.
Duplicate keys, tags and endless documents are mistakes, and no input makes this raise.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from gateway.errors import ConfigError, Mistake

KeyPath = tuple[str | int, ...]

MOST_NODES = 50_000
"""Of a file with fewer characters: anchors can grow a small file without end, and each node of a larger one takes one
character at least."""
MOST_DEPTH = 40
_LARGEST_FILE = 4 * 1024 * 1024
_TAG = "tag:yaml.org,2002:"


class _CoreLoader(yaml.SafeLoader):
    """SafeLoader with the bare words of YAML 1.2 (§10.3.2) in place of those of YAML 1.1."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - the name and shape that PyYAML expects


for _name, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]{1,18}|0o[0-7]{1,18}|0x[0-9a-fA-F]{1,15}", list("-+0123456789")),
    ("float", r"[-+]?(\.[0-9]{1,18}|[0-9]{1,18}\.[0-9]{0,18})", list("-+.0123456789")),
    ("merge", r"<<", ["<"]),
):
    _CoreLoader.add_implicit_resolver(_TAG + _name, re.compile(rf"^(?:{_pattern})$"), _first)


@dataclass
class Document:
    """A configuration as it was read. `lines` maps each key path to its line (from 1), `files` to its file where that
    is not the main one; `bad` are the keys already reported in `mistakes`, `sources` the files and patterns of files
    that were read.
    """

    file: str
    values: dict[str, Any] = field(default_factory=dict)
    lines: dict[KeyPath, int] = field(default_factory=dict)
    mistakes: list[Mistake] = field(default_factory=list)
    bad: set[KeyPath] = field(default_factory=set)
    endless: bool = False
    files: dict[KeyPath, str] = field(default_factory=dict)
    sources: list[Path] = field(default_factory=list)

    def place(self, path: KeyPath) -> tuple[str, int]:
        """File and line of the key, or of the nearest section around it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.files.get(path, self.file), self.lines.get(path, 0)

    def line(self, path: KeyPath) -> int:
        return self.place(path)[1]

    def add(self, path: KeyPath, problem: str, mend: str = "") -> None:
        """Report a mistake at a key. Later steps say nothing more about that key."""
        self.bad.add(path)
        self.mistakes.append(self.mistake(path, problem, mend))

    def mistake(self, path: KeyPath, problem: str, mend: str = "") -> Mistake:
        file, line = self.place(path)
        return Mistake(file=file, line=line, key=show_path(path), problem=problem, mend=mend)


def show_path(path: KeyPath) -> str:
    """("routes", 0, "policy") -> "routes[0].policy"."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


def bare_word(text: str) -> Any:
    """What a bare word means: `587` is a number, `true` a truth value, anything else text."""
    tag: str = _CoreLoader("").resolve(yaml.ScalarNode, text, (True, False))  # type: ignore[no-untyped-call]
    return _convert(tag.removeprefix(_TAG), text)


def yaml_text(path: Path) -> str:
    """A YAML file of ours. Raises ConfigError for one that can't be read."""
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST_FILE + 1)
        if len(content) > _LARGEST_FILE:
            raise ConfigError([Mistake(file=str(path), line=0, key="", problem="is larger than 4 MiB")])
        return content.decode("utf-8-sig")
    except OSError as error:
        mend = "name another file with --config"
        raise ConfigError(
            [Mistake(file=str(path), line=0, key="", problem=f"can't be read: {error.strerror}", mend=mend)]
        ) from None
    except ValueError as error:
        problem = "is not UTF-8 text" if isinstance(error, UnicodeDecodeError) else "is not a file path"
        raise ConfigError(
            [Mistake(file=str(path)[:200], line=0, key="", problem=problem, mend="save it as UTF-8")]
        ) from None


def parse(text: str, file: str) -> Document:
    """Read the text; what is wrong with it is in `mistakes`, and `values` is what could be read."""
    document = Document(file)
    try:
        node = yaml.compose(text, Loader=_CoreLoader)
    except yaml.YAMLError as error:
        document.mistakes.append(_syntax_mistake(file, error))
    except (RecursionError, ValueError, OverflowError):  # bad numbers in escapes come as ValueError
        document.add((), "is nested too deeply or has a broken escape")
    else:
        values = _Reader(document, max(MOST_NODES, len(text))).value(node, ()) if node is not None else None
        if isinstance(values, dict):
            document.values = values
        elif values is not None and not document.mistakes:
            document.add((), "must be a mapping of sections", "start with `server:` and `routes:`")
    return document


def _syntax_mistake(file: str, error: yaml.YAMLError) -> Mistake:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "is not YAML"
    line = mark.line + 1 if mark else 0
    hint = (
        "indent with spaces, not tabs"
        if "'\\t'" in problem
        else "quote texts with `:`, `#`, `{` or `@` in them"
    )
    return Mistake(file=file, line=line, key="", problem=f"is not valid YAML: {problem}", mend=hint)


def _convert(kind: str, text: str) -> Any:
    match kind:
        case "null":
            return None
        case "bool":
            return text.lower() == "true"
        case "int":
            return int(text, 0) if text[:2] in ("0x", "0o") else int(text)
        case "float":
            return float(text)
    return text


class _Reader:
    """Walks the nodes of one document and counts them, since anchors may multiply and recurse."""

    def __init__(self, document: Document, most: int) -> None:
        self.document, self.most = document, most
        self.count = 0
        self.depth = 0

    def value(self, node: yaml.Node, path: KeyPath) -> Any:
        self.document.lines.setdefault(path, _line(node))
        self.count += 1
        self.depth += 1
        try:
            return None if self._endless(path) else self._value(node, path)
        finally:
            self.depth -= 1

    def _value(self, node: yaml.Node, path: KeyPath) -> Any:
        if isinstance(node, yaml.MappingNode) and node.tag == _TAG + "map":
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode) and node.tag == _TAG + "seq":
            return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        return self._bad_tag(node, path)

    def _scalar(self, node: yaml.ScalarNode, path: KeyPath) -> Any:
        kind = node.tag.removeprefix(_TAG)
        if kind not in ("null", "bool", "int", "float", "str", "merge") or (kind != "str" and node.style):
            return self._bad_tag(node, path)
        if any("\ud800" <= char <= "\udfff" or char == "\0" for char in node.value):
            return self._at(node, path, "has a character that text can't hold")
        try:
            return _convert(kind, node.value)
        except ValueError:  # an explicit tag on something else: `!!int x`
            return self._bad_tag(node, path)

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if key_node.tag == _TAG + "merge":
                merged = self._merge(value_node, path) | merged
        own: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = None if key_node.tag == _TAG + "merge" else self._key(key_node, path)
            if key in own:
                first = self.document.line((*path, key))
                self._at(
                    key_node, (*path, key), f"is given twice (first on line {first})", "keep one of them"
                )
            elif key is not None:
                if key in merged:
                    self._forget((*path, key))
                self.document.lines[(*path, key)] = _line(key_node)
                own[key] = self.value(value_node, (*path, key))
        return merged | own

    def _merge(self, node: yaml.Node, path: KeyPath) -> dict[str, Any]:
        """`<<: *anchor`, or a list of anchors of which the first wins."""
        result: dict[str, Any] = {}
        for source in node.value if isinstance(node, yaml.SequenceNode) else [node]:
            values = self.value(source, path) if isinstance(source, yaml.MappingNode) else None
            if isinstance(values, dict):
                result = values | result
            elif not self.document.endless:
                self._at(node, path, "has a `<<` that does not name a mapping", "write `<<: *anchor`")
        return result

    def _key(self, node: yaml.Node, path: KeyPath) -> str | None:
        value = self._scalar(node, path) if isinstance(node, yaml.ScalarNode) else None
        if isinstance(value, str) and value:
            return value
        self._at(node, path, "has a key that is not text", "put the key in quotes")
        return None

    def _forget(self, path: KeyPath) -> None:
        """A key of our own replaces a merged one, and its lines too."""
        for known in [known for known in self.document.lines if known[: len(path)] == path]:
            del self.document.lines[known]

    def _at(self, node: yaml.Node, path: KeyPath, problem: str, mend: str = "") -> None:
        mistake = Mistake(
            file=self.document.file, line=_line(node), key=show_path(path), problem=problem, mend=mend
        )
        self.document.bad.add(path)
        self.document.mistakes.append(mistake)

    def _bad_tag(self, node: yaml.Node, path: KeyPath) -> None:
        self._at(node, path, f"uses the YAML tag `{node.tag.removeprefix(_TAG)}`", "remove the tag")

    def _endless(self, path: KeyPath) -> bool:
        endless = self.count > self.most or self.depth > MOST_DEPTH
        if endless and not self.document.endless:
            self.document.endless = True
            self.document.add(path[:3], "never ends: nested too deeply or repeated too often by anchors")
        return endless


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1
