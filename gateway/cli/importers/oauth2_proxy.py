"""oauth2-proxy: its configuration file, flags and environment, and the htpasswd file and address list beside them."""

import re
import shlex
import tomllib
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any
from urllib.parse import urlsplit

from gateway.cli.importers.findings import THIS_MACHINE, Found, LeftOut, Values, as_list, listen, whole_path
from gateway.config.patterns import path_test
from gateway.directory.user_files import ImportedUser, read_htpasswd
from gateway.errors import GatewayError
from gateway.model import User

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
_NO_MATTER = frozenset(
    {
        "client_id",
        "client_secret",
        "client_secret_file",
        "cookie_secret",
        "cookie_secret_file",
        "provider",
        "provider_display_name",
        "scope",
        "oidc_issuer_url",
        "redirect_url",
        "reverse_proxy",
        "set_xauthrequest",
        "http_address",
        "https_address",
        "proxy_prefix",
        "cookie_domains",
        "cookie_secure",
        "cookie_httponly",
        "cookie_name",
        "cookie_samesite",
        "pass_user_headers",
        "pass_host_header",
        "email_domains",
        "upstreams",
        "skip_auth_routes",
        "skip_auth_regex",
        "skip_auth_preflight",
        "trusted_ips",
        "trusted_proxy_ips",
        "allowed_groups",
        "htpasswd_file",
        "htpasswd_user_groups",
        "authenticated_emails_file",
        "api_routes",
        "ssl_upstream_insecure_skip_verify",
        "skip_provider_button",
        "display_htpasswd_form",
        "proxy_websockets",
        "upstream_timeout",
        "whitelist_domains",
        "session_store_type",
        "redis_connection_url",
        "code_challenge_method",
    }
)
"""Either translated below, or without a counterpart that could matter here."""
_STATIC = frozenset(
    str(status) for status in range(200, 600) if status // 100 != 3 and status not in (204, 205)
)


def read_options(toml: str = "", flags: str = "", environment: Mapping[str, str] | None = None) -> Options:
    """One mapping of all three; flags count before the environment, that before the file, as there."""
    try:
        options: Options = {_plural(key): value for key, value in tomllib.loads(toml).items()}
    except tomllib.TOMLDecodeError as error:
        raise GatewayError(f"not a configuration of oauth2-proxy: {error}") from error
    for key, value in (environment or {}).items():
        if key.startswith("OAUTH2_PROXY_"):
            name = _plural(key.removeprefix("OAUTH2_PROXY_").lower())
            options[name] = value.split(",") if "," in value else value
    return options | _flags(shlex.split(flags, comments=True))


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


def read_configuration(options: Options) -> Found:
    left_out: list[LeftOut] = []
    rules = [*_trusted(options), *_skipped(options, left_out)]
    routes = [
        route for url in as_list(options.get("upstreams")) for route in _routes(str(url), options, left_out)
    ]
    # There the longest path counts, here the first.
    routes.sort(key=lambda route: -len(route["path"]))
    if not routes:
        routes = [{"host": "*", "path": "/", "upstream": "http://127.0.0.1:9", **_access(options)}]
        left_out.append(
            LeftOut("upstreams", "none, so this only answers other proxies; name your apps' hosts")
        )
    config: Values = {
        "server": _server(options),
        "session": _session(options),
        "forward": {"compatible": ["oauth2-proxy"]},
        "rules": rules,
        "routes": routes,
    }
    left_out += list(_not_read(options))
    return Found(config={key: value for key, value in config.items() if value}, left_out=tuple(left_out))


def read_people(htpasswd: str, emails: str, options: Options) -> Found:
    """Users of the htpasswd file, and those whom a provider knew: they have no password until they set one."""
    groups = tuple(map(str, as_list(options.get("htpasswd_user_groups"))))
    known = list(read_htpasswd(htpasswd))
    people = [
        ImportedUser(one.line, User(one.user.username, groups=groups, password_hash=one.user.password_hash))
        if isinstance(one, ImportedUser)
        else one
        for one in known
    ]
    for line, address in enumerate(emails.splitlines(), 1):
        if address.strip() and not address.startswith("#"):
            people.append(ImportedUser(line, User(address.strip().lower(), email=address.strip())))
    return Found(people=tuple(people))


# -- one setting after the other -----------------------------------------------------------------------------------


def _is(options: Options, key: str, otherwise: bool = False) -> bool:
    return str(options.get(key, otherwise)).lower() in ("true", "1", "t", "yes")


def _server(options: Options) -> Values:
    url = urlsplit(str(options.get("redirect_url") or ""))
    address = str(options.get("http_address") or "127.0.0.1:4180")
    values: Values = {
        "listen": listen(address, 4180),
        "prefix": str(options.get("proxy_prefix") or "/oauth2"),
    }
    if url.scheme and url.netloc:
        values["public_url"] = f"{url.scheme}://{url.netloc}"
    return values | {
        "trusted_proxies": list(map(str, as_list(options.get("trusted_proxy_ips")))) or THIS_MACHINE
    }


def _session(options: Options) -> Values:
    domains = [str(one).lstrip(".") for one in as_list(options.get("cookie_domains"))]
    return {"domain": domains[0]} if domains else {}


def _access(options: Options) -> Values:
    groups = list(map(str, as_list(options.get("allowed_groups"))))
    policy: Values = {"require": "two_factor", **({"groups": groups} if groups else {})}
    route: Values = {"policy": policy, "headers": {"preset": _presets(options)}}
    if _is(options, "skip_auth_preflight"):
        route["cors_preflight"] = True
    if not _is(options, "pass_host_header", otherwise=True):
        route["preserve_host"] = False
    return route


def _presets(options: Options) -> list[str]:
    names = ["x-forwarded"] if _is(options, "pass_user_headers", otherwise=True) else []
    return [*names, "x-auth-request"] if _is(options, "set_xauthrequest") else names


def _routes(url: str, options: Options, left_out: list[LeftOut]) -> list[Values]:
    parts = urlsplit(url)
    if parts.scheme == "static" and parts.netloc in _STATIC:
        answer = {"status": int(parts.netloc), "body": "Authenticated"}
        return [
            {"host": "*", "path": parts.path or "/", "respond": answer, "policy": _access(options)["policy"]}
        ]
    if parts.scheme not in ("http", "https") or not parts.netloc:
        left_out.append(
            LeftOut(f"upstream {url}", "neither an http or https app nor an answer that a route can give")
        )
        return []
    path = parts.path or "/"
    access = _access(options)
    route: Values = {
        "host": "*",
        "path": path.rstrip("/") or "/",
        "upstream": f"{parts.scheme}://{parts.netloc}",
    }
    if not path.endswith("/"):  # only this very path, there
        left_out.append(
            LeftOut(f"upstream {url}", "paths below it are denied: there, it was this path alone")
        )
        only = re.escape(path)
        access["rules"] = [{"paths": [f"~{only}"], **access.pop("policy")}]
    if parts.scheme == "https" and _is(options, "ssl_upstream_insecure_skip_verify"):
        route["tls"] = {"verify": False}
    return [route | access]


def _trusted(options: Options) -> list[Values]:
    networks = list(map(str, as_list(options.get("trusted_ips"))))
    return [{"name": "trusted_ips", "networks": networks, "require": "bypass"}] if networks else []


def _skipped(options: Options, left_out: list[LeftOut]) -> list[Values]:
    """A bypass that can't be said is left out, which asks for more, never for less."""
    rules: list[Values] = []
    for text in map(
        str, (*as_list(options.get("skip_auth_routes")), *as_list(options.get("skip_auth_regex")))
    ):
        method, negated, pattern = _parts_of(text)
        try:
            path_test(ours := whole_path(pattern))
        except ValueError as error:
            left_out.append(LeftOut(f"skip_auth_route {text}", f"{error}; these paths ask for a sign-in"))
            continue
        if negated:
            why = "can't say which paths a rule does not match; these ask for a sign-in"
            left_out.append(LeftOut(f"skip_auth_route {text}", why))
            continue
        methods = {"methods": [method]} if method else {}
        rules.append({"name": f"skip_auth {text}", "paths": [ours], **methods, "require": "bypass"})
    return rules


def _parts_of(text: str) -> tuple[str, bool, str]:
    """Method, whether the pattern is negated, and the pattern, of "METHOD=…", "METHOD!=…" or a pattern alone."""
    match = re.match(r"([A-Z]+)?(!?=)(.+)", text)
    if match is None:
        return "", False, text
    return match[1] or "", match[2] == "!=", match[3]


def _not_read(options: Options) -> Iterable[LeftOut]:
    if provider := options.get("provider") or options.get("oidc_issuer_url"):
        yield LeftOut(
            f"provider {provider}", "people sign in here instead, with a password and a second factor"
        )
    if (domains := as_list(options.get("email_domains"))) and "*" not in domains:
        yield LeftOut("email_domains", "only users of your directory can sign in; keep others out of it")
    if not as_list(options.get("trusted_proxy_ips")):
        yield LeftOut(
            "reverse_proxy",
            "name your proxies in server.trusted_proxies: only those on this machine are believed",
        )
    for name in sorted(set(options) - _NO_MATTER):
        yield LeftOut(name, "not read: set it up by hand if you need it")
