"""oauth2-proxy's settings from its three sources: configuration file, environment and command line."""

import re
import shlex
import tomllib
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import yaml

from gateway.errors import GatewayError

Options = dict[str, Any]
_LISTS = frozenset(
    {
        "upstream",
        "skip_auth_route",
        "skip_auth_regex",
        "api_route",
        "trusted_ip",
        "trusted_proxy_ip",
        "allowed_group",
        "email_domain",
        "cookie_domain",
        "whitelist_domain",
        "htpasswd_user_group",
    }
)
"""Flags that may come several times; the file has them in the plural."""
_ALPHA = frozenset({"upstreamConfig", "providers", "injectRequestHeaders", "injectResponseHeaders", "server"})


def read_options(toml: str = "", flags: str = "", environment: Mapping[str, str] | None = None) -> Options:
    """Return one mapping of all three; flags count before the environment, that before the file, as there.

    Raises GatewayError for a file that is not of this kind.
    """
    try:
        options: Options = {_plural(key): value for key, value in tomllib.loads(toml).items()}
    except tomllib.TOMLDecodeError as error:
        if _is_alpha(toml):
            raise GatewayError(
                "this is oauth2-proxy's alpha configuration (YAML), which is not read: give its other settings with "
                "--cfg, --flags or --env-file, and write its upstreams as routes by hand"
            ) from error
        raise GatewayError(f"not a configuration of oauth2-proxy: {error}") from error
    for key, value in (environment or {}).items():
        if key.startswith("OAUTH2_PROXY_"):
            name = _plural(key.removeprefix("OAUTH2_PROXY_").lower())
            options[name] = value.split(",") if "," in value else value
    return options | _flags(_words(flags))


def _is_alpha(text: str) -> bool:
    try:
        root = yaml.safe_load(text)
    except yaml.YAMLError:
        return False
    return isinstance(root, dict) and bool(_ALPHA & set(root))


def _words(flags: str) -> list[str]:
    """A shell's line, or the list that compose files and Kubernetes write: `- --flag=value`."""
    try:
        root = yaml.safe_load(flags)
    except yaml.YAMLError:
        root = None
    if isinstance(root, dict) and len(root) == 1:  # args: [...] or command: [...]
        (root,) = root.values()
    if isinstance(root, list) and all(isinstance(word, str) for word in root):
        return [word for word in root if word.startswith("-") or "oauth2-proxy" not in word]
    words = shlex.split(flags, comments=True)
    if not any(word.startswith("-") for word in words) and words:
        raise GatewayError(f"not a command line of oauth2-proxy: {words[0]!r} is no flag")
    return words


def _flags(words: list[str]) -> Options:
    """`--name=value`, `--name value` and `--name`; a flag of a list may come again."""
    given: Options = {}
    for word, follows in pairwise([*words, "-"]):
        if word.startswith("-"):
            name, equals, value = word.lstrip("-").partition("=")
            told = value if equals else ("true" if follows.startswith("-") else follows)
            key = name.replace("-", "_")
            if key in _LISTS:
                given.setdefault(_plural(key), []).append(told)
            else:
                given[key] = told
    return given


def _plural(name: str) -> str:
    return f"{name}s" if name in _LISTS and not name.endswith("regex") else name


def is_on(options: Options, key: str, otherwise: bool = False) -> bool:
    return str(options.get(key, otherwise)).lower() in ("true", "1", "t", "yes")


def parts_of(text: str) -> tuple[str, bool, str]:
    """Method, whether the pattern is negated, and the pattern, of "METHOD=…", "METHOD!=…" or a pattern alone."""
    match = re.match(r"([A-Z]+)?(!?=)(.+)", text)
    if match is None:
        return "", False, text
    return match[1] or "", match[2] == "!=", match[3]
