"""Brings in what lies outside the file: `${ENV}` in texts, and secrets from `<name>_file`.

Works on plain values before the schema sees them, and writes what goes wrong into the document.
"""

import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from gateway.config import introspection
from gateway.config.schema import Config
from gateway.config.yaml_document import Document, KeyPath
from gateway.errors import Mistake

MOUNTED_SECRETS = Path("/run/secrets")
LARGEST_SECRET = 64 * 1024
_VARIABLE = re.compile(r"\$\$|\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}|\$\{")


def expand(document: Document, environ: Mapping[str, str]) -> dict[KeyPath, str]:
    """Put variables into all texts. Returns the original texts: reports show those, never a value."""
    written: dict[KeyPath, str] = {}
    for path, container, key in list(_leaves(document.values, ())):
        text = container[key]
        if isinstance(text, str) and "$" in text:
            container[key] = expanded(document, path, text, environ)
            if container[key] != text:
                written[path] = text
    return written


def _leaves(container: Any, path: KeyPath) -> Iterator[tuple[KeyPath, Any, Any]]:
    """Every scalar with the container and key it sits at."""
    items = container.items() if isinstance(container, dict) else enumerate(container)
    for key, value in items:
        if isinstance(value, (dict, list)):
            yield from _leaves(value, (*path, key))
        else:
            yield (*path, key), container, key


def expanded(document: Document, path: KeyPath, text: str, environ: Mapping[str, str]) -> str:
    """The text with each `${NAME}` replaced; what can't be is reported at `path`."""

    def replace(match: re.Match[str]) -> str:
        name, default = match[1], match[2]
        if match[0] == "$$":
            return "$"
        if name is None:
            document.add(path, "has a `${` that no `}` ends", "write `${NAME}`, or `$${` for a plain `${`")
            return ""
        if default is not None:
            return environ.get(name) or default
        if name not in environ:
            mend = f"set {name}, or give a default: `${{{name}:-default}}`"
            document.add(path, f"environment variable {name} is not set", mend)
        return environ.get(name, "")

    return _VARIABLE.sub(replace, text)


def read_secrets(document: Document) -> list[Mistake]:
    """Replace each `<name>_file` by what the file holds. Returns warnings about files open to all."""
    warnings: list[Mistake] = []
    for path, section, secret in list(_secret_files(document.values, (), Config)):
        name = section.pop(str(path[-1]))
        document.lines[(*path[:-1], secret)] = document.line(path)
        if secret in section:
            document.add(path, f"is given beside `{secret}`", "keep one of the two")
            continue
        section[secret] = _secret(document, path, name, warnings)
        if path in document.bad:
            document.bad.add((*path[:-1], secret))
    return warnings


def _secret_files(value: Any, path: KeyPath, kind: Any) -> Iterator[tuple[KeyPath, dict[str, Any], str]]:
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _secret_files(item, (*path, index), introspection.child(kind, value, index))
    if not isinstance(value, dict):
        return
    twins = _twins(kind, value)
    for key, item in value.items():
        if key in twins:
            yield (*path, key), value, twins[key]
        else:
            yield from _secret_files(item, (*path, key), introspection.child(kind, value, key))


def _twins(kind: Any, value: dict[str, Any]) -> dict[str, str]:
    """The keys here that name files. In a mapping of secrets any name may end in `_file`."""
    if section := introspection.chosen(kind, value):
        return section.file_keys()
    if introspection.child(kind, value, "") is SecretStr:
        return {key: key.removesuffix("_file") for key in value if key.endswith("_file") and key != "_file"}
    return {}


def _secret(document: Document, path: KeyPath, name: Any, warnings: list[Mistake]) -> str:
    if not isinstance(name, str) or not name:
        document.add(path, "is not a file path")
        return ""
    file = Path(name)
    document.sources.append(file)
    try:
        with file.open("rb") as opened:
            mode = file.stat().st_mode
            text = opened.read(LARGEST_SECRET + 1).decode().strip()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        document.add(path, f"the file {name} can't be read: {reason}", "check the path and who may read it")
        return ""
    if not text or len(text) > LARGEST_SECRET or "\0" in text:
        document.add(path, f"the file {name} {'is too large' if text else 'is empty'}")
        return ""
    if stat.S_ISREG(mode) and mode & stat.S_IROTH and not is_mounted_secret(file):
        problem = f"everyone on this machine can read {name}"
        warnings.append(document.mistake(path, problem, f"chmod 600 {name}"))
    return text


def is_mounted_secret(file: Path) -> bool:
    """Container engines mount secrets readable for all, in a file system that only the container has."""
    return file.is_relative_to(MOUNTED_SECRETS)
