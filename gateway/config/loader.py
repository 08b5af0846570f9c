"""Reads the configuration file and reports every mistake at once, each with its line and how to mend it.

The steps: YAML -> included files -> variables and secret files -> schema -> checks across keys. Nothing outside is
changed.
Relative paths in the file (keys, databases, secret files) count from the working directory.
"""

import json
import logging
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import SecretStr, ValidationError
from pydantic_core import ErrorDetails

from gateway.config import error_messages, introspection
from gateway.config.checks.finding import Finding
from gateway.config.checks.registry import CHECKS
from gateway.config.includes import join
from gateway.config.schema import Config
from gateway.config.substitution import expand, read_secrets
from gateway.config.yaml_document import Document, KeyPath, bare_word, parse, yaml_text
from gateway.errors import ConfigError, Mistake

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A sound configuration, and what its author should still look at."""

    config: Config
    warnings: tuple[Mistake, ...]


def load(path: Path, environ: Mapping[str, str]) -> Config:
    """The configuration in the file. Logs warnings; raises ConfigError with every mistake."""
    loaded = read(path, environ)
    for warning in loaded.warnings:
        log.warning("%s", warning)
    return loaded.config


def read(path: Path, environ: Mapping[str, str]) -> Loaded:
    """Like load, with the warnings as values."""
    return read_text(yaml_text(path), str(path), environ)


def read_text(text: str, file: str, environ: Mapping[str, str]) -> Loaded:
    """Read a configuration from `text`; `file` names it in messages, and what it includes lies beside it; `environ`
    fills in `${NAME}`.

    Raises ConfigError with every mistake, in the order of their lines.
    """
    document = parse(text, file)
    document.sources.append(Path(file))
    join(document, environ)
    written = expand(document, environ)
    warnings = read_secrets(document)
    config, broken = _validate(document, written)
    for finding in _findings(config, broken):
        _note(document, finding, warnings)
    if document.mistakes:
        in_order = sorted(
            document.mistakes, key=lambda mistake: (mistake.file != file, mistake.file, mistake.line)
        )
        raise ConfigError(in_order, sources=tuple(document.sources))
    # Without values: some are secret.
    config._document = Document(file, lines=document.lines, files=document.files, sources=document.sources)
    return Loaded(config, tuple(warnings))


def _errors(values: dict[str, Any]) -> tuple[Config | None, list[ErrorDetails]]:
    """Strict, but by JSON's rules: lists may become tuples and texts paths; nothing else is converted."""
    try:
        return Config.model_validate_json(json.dumps(values), strict=True), []
    except ValidationError as error:
        return None, error.errors(include_url=False, include_context=False)


def _validate(document: Document, written: dict[KeyPath, str]) -> tuple[Config, set[KeyPath]]:
    """The configuration without its broken parts, and which parts those are."""
    config, errors = _errors(document.values)
    if errors and _read_variables_as_words(document.values, errors, written):
        config, errors = _errors(document.values)
    for error in errors:
        _report(document, error, written)
    if config and not document.bad:
        return config, set()
    return _sound_parts(document.values, document.bad)


def _read_variables_as_words(
    values: dict[str, Any], errors: list[ErrorDetails], written: dict[KeyPath, str]
) -> bool:
    """`port: ${PORT}` gives text; where the schema wants a number, truth value or list (`a, b`), read it as such."""
    changed = False
    for error in errors:
        path = error_messages.key_path(values, error["loc"])
        if path not in written or error["type"] not in _READ_AS:
            continue
        _, container = error_messages.lookup(values, path[:-1])
        text = container[path[-1]]
        if isinstance(text, str):
            container[path[-1]] = read = _READ_AS[error["type"]](text)
            if isinstance(read, list):
                written.update({(*path, index): written[path] for index in range(len(read))})
            changed = True
    return changed


def _items(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]


_READ_AS: dict[str, Callable[[str], Any]] = {
    "int_type": bare_word,
    "float_type": bare_word,
    "bool_type": bare_word,
    "tuple_type": _items,
    "list_type": _items,
    "set_type": _items,
    "frozen_set_type": _items,
}


def _report(document: Document, error: ErrorDetails, written: dict[KeyPath, str]) -> None:
    path = error_messages.key_path(document.values, error["loc"])
    annotation, value = error_messages.lookup(document.values, path)
    shown = (
        None
        if SecretStr in introspection.options(annotation)
        else written.get(path, introspection.show(None, value))
    )
    place, problem, mend = error_messages.explain(document.values, path, error, shown)
    if place not in document.bad:
        document.add(place, problem, mend)


def _sound_parts(values: dict[str, Any], bad: set[KeyPath]) -> tuple[Config, set[KeyPath]]:
    """Leave out each broken route or other top-level section, so that the rest can be checked."""
    rest = deepcopy(values)
    broken = {path[:2] if path[0] == "routes" and len(path) > 1 else path[:1] for path in bad if path}
    broken -= {("routes",)} if any(len(path) == 2 for path in broken) else set()
    for place in sorted(broken, key=str, reverse=True):
        if len(place) == 1:
            rest.pop(str(place[0]), None)
    routes = rest.get("routes")
    if isinstance(routes, list):
        rest["routes"] = [route for index, route in enumerate(routes) if ("routes", index) not in broken]
    config, _ = _errors(rest)
    return (config, broken) if config else (Config(), broken | {(key,) for key in Config.model_fields})


def _findings(config: Config, broken: set[KeyPath]) -> list[Finding]:
    """What the checks say about the sound parts, under the keys that the file has."""
    kept = [index for index in range(len(config.routes) + len(broken)) if ("routes", index) not in broken]
    found: list[Finding] = []
    for needs, check in CHECKS:
        if not any((section,) in broken for section in needs):
            found += [finding.renumbered(kept) for finding in check(config)]
    return found


def _note(document: Document, finding: Finding, warnings: list[Mistake]) -> None:
    if finding.warning:
        warnings.append(document.mistake(finding.path, finding.problem, finding.mend))
    elif finding.path not in document.bad:
        document.mistakes.append(document.mistake(finding.path, finding.problem, finding.mend))
