"""`python -m tests.kubernetes_recipes` writes the lists of headers in deploy/recipes anew.

They are those of the exported engines, for a route with the default presets. tests/unit/docs/test_kubernetes_recipes.py
fails while a list is another one.
"""

import re
import textwrap
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from gateway.config.schema import Config
from gateway.engines import envoy, nginx, traefik
from gateway.engines.headers import TO_THE_GATEWAY
from gateway.engines.plan import plan

RECIPES = Path(__file__).resolve().parents[1] / "deploy" / "recipes"
CONFIG: dict[str, Any] = {
    "server": {"public_url": "https://login.example.com", "trusted_proxies": ["10.0.0.0/8"]},
    "session": {"domain": "example.com"},
    "routes": [{"host": "app.example.com", "upstream": "http://app.apps.svc.cluster.local:80"}],
}
BLOCK = re.compile(r"^( *)# list (\w+): begin$.*?^ *# list \2: end$", re.M | re.S)
LONGEST_PATTERN = 900
"""Envoy Gateway takes 1024 characters for a pattern, and 64 patterns."""
HOP_OF_ENVOY = frozenset({"te", "trailer", "keep-alive", "proxy-connection", "http2-settings"})
"""Envoy itself keeps these to the connection; gRPC needs `te`, and a client's early removal would break it."""
BY_INGRESS_NGINX = frozenset(
    {
        *("x-request-id", "x-real-ip", "x-forwarded-for", "x-forwarded-host", "x-forwarded-port", "proxy"),
        *("x-forwarded-proto", "x-forwarded-scheme", "x-scheme", "x-original-forwarded-for"),
    }
)
"""Its template writes these for every app. What an empty word beside that would do is left open."""
ASKED_BY_INGRESS_NGINX = frozenset(
    {"x-original-url", "x-original-method", "x-forwarded-for", "x-forwarded-proto", "x-real-ip"}
)
_TIED = "\u2060"
"""A blank at which no line ends."""
NOT_ASKED = frozenset({"authorization", "x-forwarded-host", "x-forwarded-port"})
"""Envoy Gateway can't take Authorization off, so sessions alone count; it writes no X-Forwarded-Host and -Port."""


@cache
def exported_traefik() -> dict[str, Any]:
    text = traefik.export(plan(Config.model_validate(CONFIG), engine="traefik"))["traefik.yaml"]
    middlewares: dict[str, Any] = yaml.safe_load(text)["http"]["middlewares"]
    return middlewares


@cache
def exported_envoy() -> dict[str, Any]:
    text = envoy.export(plan(Config.model_validate(CONFIG), engine="envoy"))["envoy.yaml"]
    listener = yaml.safe_load(text)["static_resources"]["listeners"][0]
    connections: dict[str, Any] = listener["filter_chains"][0]["filters"][0]["typed_config"]
    return connections


def exported_nginx() -> list[str]:
    """The lines of the app's location, behind the question."""
    text = nginx.export(plan(Config.model_validate(CONFIG), engine="nginx"))["nginx.conf"]
    return text.partition("auth_request /")[2].partition("\n        }")[0].splitlines()


def traefik_removed() -> list[str]:
    found = exported_traefik()
    both = (found["strip"], found["route-0-strip"])
    return sorted({name for step in both for name in step["headers"]["customRequestHeaders"]})


def traefik_told() -> list[str]:
    return list(exported_traefik()["route-0-auth"]["forwardAuth"]["authResponseHeaders"])


def envoy_filter() -> dict[str, Any]:
    filters = exported_envoy()["http_filters"]
    return next(one["typed_config"] for one in filters if one["name"] == "ext_authz")


def envoy_asked() -> list[str]:
    patterns = envoy_filter()["allowed_headers"]["patterns"]
    return [one["exact"] for one in patterns if one["exact"] not in NOT_ASKED]


def envoy_told() -> list[str]:
    """Without the word on Authorization, which nobody asks for here."""
    patterns = envoy_filter()["http_service"]["authorization_response"]["allowed_upstream_headers"][
        "patterns"
    ]
    return [one["exact"] for one in patterns if one["exact"] != "x-gateway-consumed"]


def envoy_removed() -> tuple[list[str], list[str]]:
    """Whole names and beginnings of names, from the route of the app."""
    for host in exported_envoy()["route_config"]["virtual_hosts"]:
        for route in host["routes"]:
            if told := route.get("metadata", {}).get("filter_metadata", {}).get("envoy.filters.http.lua"):
                return sorted(set(told["removed"]) - HOP_OF_ENVOY), list(told["families"])
    raise AssertionError("the export has no route of an app")


def envoy_patterns() -> list[str]:
    """As few regular expressions as go: any sign that is no letter or digit may stand for a dash."""
    names, families = envoy_removed()
    words = [f"{name}.*" for name in families]
    words += [name for name in names if not name.startswith(tuple(families))]
    patterns, now = [], ""
    for word in words:
        loose = word.replace("-", "[^a-z0-9]")
        if now and len(now) + len(loose) > LONGEST_PATTERN:
            patterns.append(now)
            now = ""
        now = f"{now}|{loose}" if now else loose
    return [*patterns, now]


def nginx_removed() -> list[str]:
    found = [
        match[1]
        for line in exported_nginx()
        if (match := re.fullmatch(r'\s*proxy_set_header (\S+) "";', line)) and match[1] != "cookie"
    ]
    told = {name.lower() for name in traefik_told()}
    return sorted(set(found) - BY_INGRESS_NGINX - told - {"upgrade", "connection"})


def nginx_not_asked() -> list[str]:
    """What the question must not hold: what only a proxy may say, less what ingress-nginx says itself."""
    return sorted(set(TO_THE_GATEWAY) - ASKED_BY_INGRESS_NGINX)


@cache
def lists() -> dict[str, list[str]]:
    """Name of a list -> its lines, as they stand between the marks."""
    return {
        "traefik_removed": _mapping(traefik_removed()),
        "traefik_told": [f"- {name}" for name in traefik_told()],
        "envoy_removed": [f"- {{type: RegularExpression, value: '{one}'}}" for one in envoy_patterns()],
        "envoy_asked": _wrapped("[", envoy_asked(), "]"),
        "envoy_told": _wrapped("[", envoy_told(), "]"),
        "nginx_not_asked": [f'{name}: ""' for name in nginx_not_asked()],
        "nginx_removed": [f'{name}: ""' for name in nginx_removed()],
        "nginx_told": [
            "nginx.ingress.kubernetes.io/auth-response-headers: >-",
            f"  {','.join(traefik_told())}",
        ],
    }


def _mapping(names: list[str]) -> list[str]:
    return _wrapped("{", [f'{name}:{_TIED}""' for name in names], "}")


def _wrapped(opening: str, words: list[str], closing: str) -> list[str]:
    text = f"{opening}{', '.join(words)}{closing}"
    lines = textwrap.wrap(text, 110, break_long_words=False, break_on_hyphens=False)
    return [line.replace(_TIED, " ") for line in lines]


def written(text: str) -> str:
    """The recipe with its lists as they should be."""
    found = lists()

    def block(match: re.Match[str]) -> str:
        indent, name = match[1], match[2]
        inner = "\n".join(f"{indent}{line}" for line in found[name])
        return f"{indent}# list {name}: begin\n{inner}\n{indent}# list {name}: end"

    return BLOCK.sub(block, text)


if __name__ == "__main__":
    for file in sorted(RECIPES.glob("*.yaml")):
        file.write_text(written(file.read_text()))
