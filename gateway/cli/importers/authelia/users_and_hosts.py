"""Authelia: users_database.yml, the access rules of configuration.yml, and what the configuration says of hosts."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import yaml

from gateway.cli.importers.authelia.not_read import not_read, times_of
from gateway.cli.importers.authelia.original import AutheliaRules
from gateway.cli.importers.authelia.password_hashes import complete
from gateway.cli.importers.authelia.rules import rules_of
from gateway.cli.importers.findings import THIS_MACHINE, Found, LeftOut, Values, as_list, listen
from gateway.cli.importers.reachable_rules import reachable
from gateway.config.checks.rules import covers
from gateway.config.patterns import USER
from gateway.config.schema import Rule
from gateway.directory.password_hashing import is_supported
from gateway.directory.user_files import BadLine, ImportedUser
from gateway.errors import GatewayError
from gateway.model import User

NOWHERE = "http://127.0.0.1:9"
"""Stands for apps whose address Authelia never knew; proxies that only ask never need it."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the administrator chose. `ignore_queries`: rules about queries are translated as if they had none."""

    ignore_queries: bool = False


def read_users(text: str) -> Found:
    """users_database.yml."""
    root = _mapping(text, "users")
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    lines = _lines_of(node)
    left_out: list[LeftOut] = []
    people = [
        _person(str(name), facts, lines.get(str(name), 1), left_out) for name, facts in root["users"].items()
    ]
    return Found(people=tuple(people), left_out=tuple(left_out))


def _person(name: str, facts: object, line: int, left_out: list[LeftOut]) -> ImportedUser | BadLine:
    if not isinstance(facts, Mapping):
        return BadLine(line, f"{name} is not a user with keys like password and email")
    hash = complete(str(facts.get("password") or "").removeprefix("{CRYPT}"))
    if not is_supported(hash):
        return BadLine(line, f"{name}: this kind of password hash is not supported")
    if facts.get("phone_number"):
        why = "was no second factor there, so it is none here until `auth-gateway user set --phone`"
        left_out.append(LeftOut(f"users.{name}.phone_number", why))
    user = User(
        name,
        name=str(facts.get("displayname") or ""),
        email=str(facts.get("email") or ""),
        groups=tuple(map(str, as_list(facts.get("groups")))),
        disabled=facts.get("disabled") is True,
        password_hash=hash,
    )
    return ImportedUser(line, user)


def read_configuration(text: str, options: Options) -> Found:
    """configuration.yml: rules, hosts, and where the portal is."""
    root = _mapping(text, "access_control")
    left_out: list[LeftOut] = []
    translated = rules_of(root, left_out, ignore_queries=options.ignore_queries)
    rules = reachable(translated, left_out)
    portal = _portal(root, left_out)
    default = root["access_control"].get("default_policy", "deny")
    config: Values = {
        "server": {
            "listen": listen(_address(root), 9091),
            "trusted_proxies": THIS_MACHINE,
            **({"public_url": portal["url"]} if portal["url"] else {}),
        },
        "session": ({"domain": portal["domain"]} if portal["domain"] else {}) | times_of(root, left_out),
        "forward": {"compatible": ["authelia"]},
        "rules": rules,
        "routes": [_route(host, default, rules) for host in _hosts(translated, portal["domain"])],
    }
    left_out.append(
        LeftOut("server.trusted_proxies", "name your proxies: only those on this machine are believed")
    )
    left_out += not_read(root)
    return Found(
        config={key: value for key, value in config.items() if value},
        left_out=tuple(left_out),
        original=AutheliaRules(root, portal["domain"]),
    )


def _mapping(text: str, key: str) -> dict[str, Any]:
    try:
        root = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise GatewayError(f"not YAML: {error}") from error
    if not isinstance(root, dict) or not isinstance(root.get(key), dict):
        raise GatewayError(f"there is no `{key}:` in it")
    return root


def _lines_of(node: yaml.Node | None) -> dict[str, int]:
    """Username -> line."""
    if not isinstance(node, yaml.MappingNode):
        return {}
    users = next((value for key, value in node.value if key.value == "users"), None)
    return {key.value: key.start_mark.line + 1 for key, _ in users.value} if users else {}


def _portal(root: Mapping[str, Any], left_out: list[LeftOut]) -> dict[str, str]:
    session = root.get("session") or {}
    cookies = as_list(session.get("cookies"))
    first = cookies[0] if cookies else {"domain": session.get("domain"), "authelia_url": ""}
    for number, cookie in enumerate(cookies[1:], 1):
        where = f"session.cookies[{number}] ({cookie.get('domain')})"
        left_out.append(LeftOut(where, "set up the further domain by hand"))
    domain, url = (
        str(first.get("domain") or "").lower().lstrip("."),
        urlsplit(str(first.get("authelia_url") or "")),
    )
    if url.netloc or not domain:
        return {"domain": domain, "url": f"{url.scheme}://{url.netloc}" if url.netloc else ""}
    left_out.append(LeftOut("session.cookies.authelia_url", f"is not given; auth.{domain} is a guess"))
    return {"domain": domain, "url": f"https://auth.{domain}"}


def _address(root: Mapping[str, Any]) -> str:
    server = root.get("server") or {}
    return str(server.get("address") or f"{server.get('host') or ''}:{server.get('port') or 9091}")


def _hosts(rules: list[Values], domain: str) -> list[str]:
    """Particular hosts first. The whole domain at the end, since the default policy is for all of it."""
    named = dict.fromkeys(host.replace(USER, "*") for rule in rules for host in rule.get("hosts", ()))
    hosts = dict.fromkeys([*named, f"*.{domain}"] if domain else named)
    return sorted(hosts, key=lambda host: (host == "*", host.startswith("*"), -len(host)))


def _route(host: str, default: str, rules: list[Values]) -> Values:
    route: Values = {"host": host, "upstream": NOWHERE}
    all_of_it = Rule(hosts=(host,), paths=("/",))
    if not any(covers(Rule.model_validate(rule), all_of_it) for rule in rules):
        route["policy"] = policy_of(str(default))
    return route


def policy_of(name: str) -> Values:
    """What the policy means there: its second factors are apps and keys, never codes by SMS or mail."""
    if name == "two_factor":
        return {"require": "two_factor", "factors": ["totp", "webauthn"]}
    return {"require": name if name in ("bypass", "one_factor") else "deny"}
