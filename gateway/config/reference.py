"""Writes docs/configuration.md and docs/config.schema.json from the schema, so neither can lag behind it.

python -m gateway.config.reference > docs/configuration.md
python -m gateway.config.reference --json-schema > docs/config.schema.json
"""

import json
import sys
from collections.abc import Iterator
from typing import Any, get_args, get_origin

from pydantic.fields import FieldInfo

from gateway.config import introspection
from gateway.config.schema import Config, Section

_HEAD = """# Configuration

Generated from the schema by `python -m gateway.config.reference`; a test fails when it is stale.
`auth-gateway check` reports every mistake of a file with its line and how to mend it.

- **Unknown keys are mistakes**, and so are keys given twice.
- **Durations** are written `30s`, `5m`, `1h30m`, `30d`; a bare number is seconds.
  **Sizes** are written `64KiB`, `10MB` or `unlimited`; a bare number is bytes.
- **Environment:** `${NAME}` in any text is replaced; `${NAME:-default}` when it may be unset; `$$` is a dollar.
  Inside `{…}` put such a text in quotes.
  A list may come from one variable: `trusted_proxies: ${PROXIES}` is split at its commas.
- **Several files:** `include: [routes/*.yaml, secrets.yaml]` in the main file joins others to it, from its own folder.
  Sections are joined key by key, lists of sections (`routes`, `rules`) end to end, the main file's first, then in the
  order of `include`, files of one pattern by name. Anything else is said once; included files include no others.
- **Reload:** SIGHUP; with `server.reload: on_change` also when one of the files (includes, secrets, certificates) has
  changed and been at rest for two seconds. A configuration with mistakes is refused, and the one before stays in force.
- **Secrets from files:** where a key says so, `<key>_file` names a file that holds the value.
  Surrounding white space is dropped.
- **Relative paths** count from the working directory of the gateway, not from the configuration file.
- **Words** are YAML 1.2: only `true` and `false` are truth values; `on`, `no` and `12:30` are text.
- Anchors, aliases and `<<` may be used. For help in editors, start the file with
  `# yaml-language-server: $schema=docs/config.schema.json`.
"""


def markdown() -> str:
    """The whole reference."""
    return "\n".join([_HEAD, *_once(_section("", Config, "The top level of the file."))])


def _once(lines: Iterator[str]) -> Iterator[str]:
    """What several providers have in common is described below the first of them."""
    seen: set[str] = set()
    skipping = False
    for line in lines:
        if line.startswith("## "):
            skipping = line in seen
            seen.add(line)
        if not skipping:
            yield line


def json_schema() -> str:
    """For editors. Defaults of whole sections are left out: those of their keys say it all."""
    schema = Config.model_json_schema()
    for part in (schema, *schema["$defs"].values()):
        for field in part.get("properties", {}).values():  # short forms stand in the place of some sections
            field.pop("title", None)
            if isinstance(field.get("default"), dict):
                del field["default"]
    named = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
    named["title"] = "auth-gateway configuration"
    return json.dumps(named, indent=2, ensure_ascii=False, sort_keys=True)


def _section(path: str, section: type[Section], text: str, title: str = "") -> Iterator[str]:
    yield f"## {title or (f'`{path}`' if path else 'Top level')}\n"
    yield f"{text}\n"
    yield "| key | value | default | what it is for |"
    yield "|---|---|---|---|"
    twins = {key: twin for twin, key in section.file_keys().items()}
    for key, info in section.keys().items():
        yield _row(key, info, twins.get(key))
    yield ""
    for key, info in section.keys().items():
        yield from _below(f"{path}.{key}".removeprefix("."), introspection.annotated(info), info)


def _row(key: str, info: FieldInfo, twin: str | None) -> str:
    name = f"`{key}` (or `{twin}`)" if twin else f"`{key}`"
    cells = (name, _kind(introspection.annotated(info)), _default(info), info.description or "")
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _kind(annotation: Any) -> str:
    if introspection.providers(annotation):
        return f"a section, see below; `{introspection.chooser(annotation)}` chooses its keys"
    if introspection.sections(annotation):
        return "a section, see below"
    if get_origin(annotation) is dict and introspection.sections(get_args(annotation)[1]):
        return "a mapping of names to sections, see below"
    if any(introspection.sections(item) for item in _items(annotation)):
        return "a list of sections, see below"
    if any(introspection.sections(inner) for item in _items(annotation) for inner in _items(item)):
        return "a list of mappings of names to sections, see below"
    return introspection.describe(annotation)


def _items(annotation: Any) -> tuple[Any, ...]:
    if get_origin(annotation) is dict:
        return get_args(annotation)[1:]
    return get_args(annotation)[:1] if get_origin(annotation) is tuple else ()


def _default(info: FieldInfo) -> str:
    if info.is_required():
        return "**required**"
    value = info.get_default(call_default_factory=True, validated_data={})
    if isinstance(value, Section):
        return ""
    if value is None or value in ((), "", {}):
        return "none"
    return f"`{introspection.show(introspection.annotated(info), value)}`"


def _below(path: str, annotation: Any, info: FieldInfo) -> Iterator[str]:
    """The sections that a key opens: one per provider where a provider is chosen."""
    text = f"{(info.description or '').capitalize()}."
    if kinds := introspection.providers(annotation):
        for provider, section in kinds.items():
            title = f"`{path}` with `{introspection.chooser(annotation)}: {provider}`"
            yield from _section(path, section, section.__doc__ or text, title)
        return
    for section in introspection.sections(annotation):
        yield from _section(path, section, text)
    for item in _items(annotation):
        yield from _below(f"{path}.NAME" if get_origin(annotation) is dict else f"{path}[]", item, info)


if __name__ == "__main__":
    sys.stdout.write((json_schema() if "--json-schema" in sys.argv else markdown().rstrip()) + "\n")
