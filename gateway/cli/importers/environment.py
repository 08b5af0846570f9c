"""Variables as `docker --env-file` and compose files write them."""

from collections.abc import Iterator
from typing import Any

import yaml

from gateway.errors import GatewayError


def read_environment(text: str) -> dict[str, str]:
    """NAME=value lines, or the `environment:` of a compose file, as a mapping or as a list.

    Compose writes each `$` twice. Raises GatewayError for what is none of these.
    """
    compose = list(_of_compose(text))
    if compose:
        return {name: value.replace("$$", "$") for name, value in compose}
    values: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        name, equals, value = line.strip().removeprefix("export ").removeprefix("- ").partition("=")
        if not name or name.startswith("#"):
            continue
        if not equals or not name.strip().replace("_", "").isalnum():
            raise GatewayError(f"line {number} of the variables is not NAME=value: {line.strip()[:40]!r}")
        values[name.strip()] = value.strip().strip("'\"").replace("$$", "$")
    return values


def _of_compose(text: str) -> Iterator[tuple[str, str]]:
    try:
        root = yaml.safe_load(text)
    except yaml.YAMLError:
        return
    for block in _blocks(root):
        if isinstance(block, dict):
            yield from ((str(name), _text(value)) for name, value in block.items())
        else:
            for one in block:
                name, equals, value = str(one).partition("=")
                if equals:
                    yield name, value


def _blocks(root: Any) -> Iterator[dict[Any, Any] | list[Any]]:
    """The mapping or list itself, where it is one of variables, or what stands below `environment:`."""
    if isinstance(root, list):
        yield root
    if not isinstance(root, dict):
        return
    services = root.get("services")
    inside = list(services.values()) if isinstance(services, dict) else [root]
    found = [one["environment"] for one in inside if isinstance(one, dict) and one.get("environment")]
    if found:
        yield from found
    elif all(str(name).isupper() for name in root) and not any(isinstance(v, dict) for v in root.values()):
        yield root


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else "" if value is None else str(value)
