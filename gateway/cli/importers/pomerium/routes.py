"""Pomerium's config.yaml: its routes with their upstreams, and who may pass them."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import yaml

from gateway.cli.importers.durations import times_of_session
from gateway.cli.importers.findings import THIS_MACHINE, Found, LeftOut, NotOurs, Values, as_list, listen
from gateway.cli.importers.pomerium.original import PomeriumRules
from gateway.cli.importers.pomerium.policy import SHORT_KEYS, rules_of, statements
from gateway.cli.importers.reachable_rules import reachable
from gateway.errors import GatewayError

_UNDERSTOOD = frozenset(
    {
        *("from", "to", "name", "prefix", "path", "policy", "sub_policies", "cors_allow_preflight"),
        *("allow_public_unauthenticated_access", "allow_any_authenticated_user", *SHORT_KEYS),
        *("preserve_host_header", "tls_skip_verify", "prefix_rewrite", "allow_websockets", "timeout"),
        *("description", "logo_url", "pass_identity_headers", "idle_timeout"),
    }
)
_TOP = frozenset(
    {"routes", "policy", "address", "authenticate_service_url", "cookie_domain", "cookie_expire"}
)


def read_configuration(text: str) -> Found:
    """Routes, where it listened and how long its sessions lasted."""
    root = _mapping(text)
    given = [one for one in as_list(root.get("routes") or root.get("policy")) if isinstance(one, Mapping)]
    left_out: list[LeftOut] = []
    routes = [
        values for number, one in enumerate(given) if (values := _route(f"routes[{number}]", one, left_out))
    ]
    # There an exact path counts first and then the longest prefix, here the first route.
    routes.sort(key=lambda one: ("*" in one["host"], not one.pop("exact"), -len(one["path"])))
    portal = urlsplit(str(root.get("authenticate_service_url") or ""))
    config: Values = {
        "server": {
            "listen": listen(str(root.get("address") or ":443"), 443),
            "trusted_proxies": THIS_MACHINE,
            **({"public_url": f"{portal.scheme}://{portal.netloc}"} if portal.netloc else {}),
        },
        "session": _session(root),
        "routes": routes,
    }
    left_out += _not_read(root, portal.netloc)
    return Found(
        config={key: value for key, value in config.items() if value},
        left_out=tuple(left_out),
        original=PomeriumRules(tuple(given)),
    )


def _mapping(text: str) -> dict[str, Any]:
    try:
        root = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise GatewayError(f"not YAML: {error}") from error
    if not isinstance(root, dict) or not (root.get("routes") or root.get("policy")):
        raise GatewayError("there are no `routes:` in it")
    return root


def _route(where: str, route: Mapping[str, Any], left_out: list[LeftOut]) -> Values | None:
    """Ours, or None where there is none to write: its host is then answered by no route, so by nobody."""
    source = urlsplit(str(route.get("from") or ""))
    if source.scheme not in ("http", "https") or not source.hostname:
        left_out.append(LeftOut(where, f"`{route.get('from')}`: only http and https are proxied here"))
        return None
    upstreams = [str(one).partition(",")[0] for one in as_list(route.get("to"))]
    if route.get("regex") or not upstreams:
        what = "`regex` can't be a route's path" if route.get("regex") else "no `to`, so no app"
        left_out.append(LeftOut(where, f"{what}; what it opened is denied"))
        return None
    exact = bool(route.get("path"))
    path = str(route.get("path") or route.get("prefix") or "/")
    values: Values = {
        "host": source.hostname,
        "path": path.rstrip("/") or "/",
        "upstream": upstreams[0] if len(upstreams) == 1 else upstreams,
        "rules": _rules(where, route, path if exact else "", left_out),
        "exact": exact,
    }
    if not route.get("preserve_host_header"):
        values["preserve_host"] = False
    if route.get("tls_skip_verify") is True:
        values["tls"] = {"verify": False}
    if route.get("cors_allow_preflight") is True:
        values["cors_preflight"] = True
    if route.get("prefix_rewrite") == "/" and path != "/":
        values["strip_path"] = True
    elif route.get("prefix_rewrite") and route.get("prefix_rewrite") != path:
        left_out.append(LeftOut(f"{where}.prefix_rewrite", "only `/` can be said (strip_path)"))
    left_out += [
        LeftOut(f"{where}.{key}", "not read: set it up by hand if you need it")
        for key in sorted(set(route) - _UNDERSTOOD)
    ]
    return values


def _rules(where: str, route: Mapping[str, Any], only: str, left_out: list[LeftOut]) -> list[Values]:
    problems: list[str] = []
    try:
        rules = reachable(rules_of(statements(route), problems), left_out)
    except NotOurs as problem:
        rules, problems = [], [str(problem)]
    left_out += [LeftOut(where, f"{problem}; what it opened is denied") for problem in problems]
    rules = rules or [{"require": "deny"}]
    return [rule | {"paths": [f"~{re.escape(only)}"]} for rule in rules] if only else rules


def _session(root: Mapping[str, Any]) -> Values:
    found: Values = {}
    if root.get("cookie_domain"):
        found["domain"] = str(root["cookie_domain"]).lstrip(".").lower()
    return found | times_of_session(root.get("cookie_expire"))


def _not_read(root: Mapping[str, Any], portal: str) -> list[LeftOut]:
    found = [
        LeftOut("idp_provider", "people sign in here instead, with a password and a second factor"),
        LeftOut("server.trusted_proxies", "name your proxies: only those on this machine are believed"),
    ]
    if not portal:
        why = "not given, so server.public_url is http://localhost:8080: write the address that people use"
        found.append(LeftOut("authenticate_service_url", why))
    silent = _TOP | {key for key in root if str(key).startswith(("idp_", "certificate", "autocert"))}
    found += [
        LeftOut(str(key), "not read: set it up by hand if you need it")
        for key in sorted(map(str, set(root) - silent))
    ]
    return found
