"""Reads the configuration file and reports every mistake at once, each with its line and how to mend it.

The steps: YAML -> variables and secret files -> schema -> checks across keys. Nothing outside is changed.
Relative paths in the file (keys, databases, secret files) count from the working directory.
"""

import json
import logging
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import SecretStr, ValidationError
from pydantic_core import ErrorDetails

from gateway.config import error_messages, introspection
from gateway.config.checks.finding import Finding
from gateway.config.checks.registry import CHECKS
from gateway.config.schema import Config
from gateway.config.substitution import expand, read_secrets
from gateway.config.yaml_document import Document, KeyPath, bare_word, parse
from gateway.errors import ConfigError, Mistake

log = logging.getLogger(__name__)
_LARGEST_FILE = 4 * 1024 * 1024


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
    return read_text(file_text(path), str(path), environ)


def read_text(text: str, file: str, environ: Mapping[str, str]) -> Loaded:
    """Read a configuration from `text`; `file` names it in messages, `environ` fills in `${NAME}`.

    Raises ConfigError with every mistake, in the order of their lines.
    """
    document = parse(text, file)
    written = expand(document, environ)
    warnings = read_secrets(document)
    config, broken = _validate(document, written)
    for finding in _findings(config, broken):
        _note(document, finding, warnings)
    if document.mistakes:
        raise ConfigError(sorted(document.mistakes, key=lambda mistake: mistake.line))
    config._document = Document(file, lines=document.lines)  # without values: some are secret
    return Loaded(config, tuple(warnings))


def file_text(path: Path) -> str:
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
    """`port: ${PORT}` gives text; where the schema wants a number or truth value, read it as such."""
    changed = False
    for error in errors:
        path = error_messages.key_path(values, error["loc"])
        if path in written and error["type"] in ("int_type", "float_type", "bool_type"):
            _, container = error_messages.lookup(values, path[:-1])
            if isinstance(container[path[-1]], str):
                container[path[-1]] = bare_word(container[path[-1]])
                changed = True
    return changed


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
