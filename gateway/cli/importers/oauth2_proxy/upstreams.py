"""oauth2-proxy: its configuration file, flags and environment, and the htpasswd file and address list beside them."""

import re
from urllib.parse import urlsplit

from gateway.cli.importers.durations import times_of_session
from gateway.cli.importers.findings import THIS_MACHINE, Found, LeftOut, Values, as_list, listen, whole_path
from gateway.cli.importers.oauth2_proxy.limits import limits_of
from gateway.cli.importers.oauth2_proxy.not_read import not_read
from gateway.cli.importers.oauth2_proxy.options import Options, is_on, parts_of
from gateway.cli.importers.oauth2_proxy.original import OAuth2ProxyRules
from gateway.config.patterns import path_test
from gateway.directory.user_files import ImportedUser, read_htpasswd
from gateway.model import User

_STATIC = frozenset(
    str(status) for status in range(200, 600) if status // 100 != 3 and status not in (204, 205)
)


def read_configuration(
    options: Options, people: Found, *, emails: bool = False, only_group: str = ""
) -> Found:
    """Upstreams, exceptions and who may pass.

    `people` are the users that come along, `emails` whether they hold the list of authenticated addresses, and
    `only_group` a group of ours that stands in for limits that can't be said here.
    """
    limits = limits_of(options, people, emails=emails, only_group=only_group)
    left_out: list[LeftOut] = [*limits.left_out]
    rules = [*_trusted(options), *_skipped(options, left_out)]
    policy = limits.policy
    routes = [
        route
        for url in as_list(options.get("upstreams"))
        for route in _routes(str(url), options, policy, left_out)
    ]
    # There the longest path counts, here the first.
    routes.sort(key=lambda route: -len(route["path"]))
    if not routes:
        routes = [{"host": "*", "path": "/", "upstream": "http://127.0.0.1:9", **_access(options, policy)}]
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
    left_out += not_read(options)
    return Found(
        config={key: value for key, value in config.items() if value},
        left_out=tuple(left_out),
        stops=limits.stops,
        original=OAuth2ProxyRules(options, limits.listed),
    )


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
    domains = [str(one).lstrip(".").lower() for one in as_list(options.get("cookie_domains"))]
    found: Values = {"domain": domains[0]} if domains else {}
    return found | times_of_session(options.get("cookie_expire"))


def _access(options: Options, policy: Values) -> Values:
    route: Values = {"policy": policy, "headers": {"preset": _presets(options)}}
    if is_on(options, "skip_auth_preflight"):
        route["cors_preflight"] = True
    if not is_on(options, "pass_host_header", otherwise=True):
        route["preserve_host"] = False
    return route


def _presets(options: Options) -> list[str]:
    names = ["x-forwarded"] if is_on(options, "pass_user_headers", otherwise=True) else []
    return [*names, "x-auth-request"] if is_on(options, "set_xauthrequest") else names


def _routes(url: str, options: Options, policy: Values, left_out: list[LeftOut]) -> list[Values]:
    parts = urlsplit(url)
    if parts.scheme == "static" and parts.netloc in _STATIC:
        answer = {"status": int(parts.netloc), "body": "Authenticated"}
        return [{"host": "*", "path": parts.path or "/", "respond": answer, "policy": policy}]
    if parts.scheme not in ("http", "https") or not parts.netloc:
        left_out.append(
            LeftOut(f"upstream {url}", "neither an http or https app nor an answer that a route can give")
        )
        return []
    path = parts.path or "/"
    access = _access(options, policy)
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
    if parts.scheme == "https" and is_on(options, "ssl_upstream_insecure_skip_verify"):
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
        method, negated, pattern = parts_of(text)
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
