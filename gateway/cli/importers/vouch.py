"""Vouch Proxy: who may pass, and the hosts that its cookie was for. It only answered other proxies, and so do we.

There the first of `allowAllUsers`, `whiteList`, `teamWhitelist` and `domains` decides; without any, every account of
the provider may pass.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import yaml

from gateway.cli.importers.durations import times_of_session
from gateway.cli.importers.findings import (
    ONLY_GROUP_STANDS_IN,
    THIS_MACHINE,
    Access,
    Found,
    LeftOut,
    Sample,
    Values,
    as_list,
    listen,
    named_people,
    username,
)
from gateway.errors import GatewayError
from gateway.model import User

_NOWHERE = "http://127.0.0.1:9"
_UNDERSTOOD = frozenset(
    {
        *(
            "allowAllUsers",
            "whiteList",
            "teamWhitelist",
            "domains",
            "publicAccess",
            "cookie",
            "jwt",
            "listen",
        ),
        *("port", "logLevel", "testing", "session", "writeTimeout", "readTimeout", "idleTimeout"),
    }
)


@dataclass(frozen=True, slots=True)
class VouchRules:
    """The section `vouch` of its configuration, read as it reads it."""

    vouch: Values

    def samples(self, people: Sequence[User]) -> Sequence[Sample]:
        return [Sample("vouch", f"app.{domain}") for domain in _hosts(self.vouch)]

    def named(self) -> Sequence[User]:
        return named_people(users=map(str, as_list(self.vouch.get("whiteList"))), groups=())

    def access(self, sample: Sample, person: User | None) -> Access:
        if self.vouch.get("publicAccess") is True:
            return Access.ANYTHING
        if person is None:
            return Access.NEVER
        if self.vouch.get("allowAllUsers") is True:
            return Access.ONE_FACTOR
        if listed := as_list(self.vouch.get("whiteList")):
            named = {username(str(one)) for one in listed}
            return Access.ONE_FACTOR if person.username in named else Access.NEVER
        if as_list(self.vouch.get("teamWhitelist")):
            return Access.NEVER  # only its provider knows the teams
        domains = list(map(str, as_list(self.vouch.get("domains"))))
        at = (person.email or person.username).rpartition("@")[2]
        inside = any(at == domain or at.endswith(f".{domain}") for domain in domains)
        return Access.ONE_FACTOR if inside or not domains else Access.NEVER


def read_configuration(text: str, only_group: str = "") -> Found:
    """config.yml. `only_group` is a group of ours that stands in for teams and mail domains."""
    vouch, callback = _sections(text)
    policy: Values = {"require": "two_factor"}
    stops: list[LeftOut] = []
    left_out = [
        LeftOut("oauth", "people sign in here instead, with a password and a second factor"),
        LeftOut("server.trusted_proxies", "name your proxies: only those on this machine are believed"),
    ]
    if vouch.get("publicAccess") is True:
        policy = {"require": "bypass"}
    elif vouch.get("allowAllUsers") is True:
        pass
    elif listed := as_list(vouch.get("whiteList")):
        policy["users"] = list(dict.fromkeys(username(str(one)) for one in listed))
    elif limit := next((key for key in ("teamWhitelist", "domains") if as_list(vouch.get(key))), ""):
        where = f"vouch.{limit}"
        if only_group:
            policy["groups"] = [only_group]
            left_out.append(LeftOut(where, f"put those who may pass into group `{only_group}`"))
        else:
            stops.append(LeftOut(where, ONLY_GROUP_STANDS_IN))
    hosts = _hosts(vouch)
    public_url = callback or (f"https://vouch.{hosts[0]}" if hosts else "")
    if not callback:
        left_out.append(
            LeftOut("oauth.callback_url", f"not in it: {public_url or 'server.public_url'} is a guess")
        )
    config: Values = {
        "server": {
            "listen": listen(f"{vouch.get('listen') or '0.0.0.0'}:{vouch.get('port') or 9090}", 9090),  # noqa: S104
            "trusted_proxies": THIS_MACHINE,
            **({"public_url": public_url} if public_url else {}),
        },
        "session": _session(vouch, hosts, left_out),
        "forward": {"compatible": ["vouch"]},
        "routes": [{"host": f"*.{host}", "upstream": _NOWHERE, "policy": policy} for host in hosts],
    }
    left_out += [
        LeftOut(f"vouch.{key}", "not read: set it up by hand if you need it")
        for key in sorted(set(vouch) - _UNDERSTOOD)
    ]
    return Found(
        config={key: value for key, value in config.items() if value},
        left_out=tuple(left_out),
        stops=tuple(stops),
        original=VouchRules(vouch),
    )


def _sections(text: str) -> tuple[Values, str]:
    """The section `vouch`, and the origin that its provider sends people back to."""
    try:
        root: Any = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise GatewayError(f"not YAML: {error}") from error
    if not isinstance(root, dict) or not isinstance(root.get("vouch"), dict):
        raise GatewayError("there is no `vouch:` in it")
    oauth = root.get("oauth") or {}
    url = urlsplit(str(oauth.get("callback_url") or next(iter(as_list(oauth.get("callback_urls"))), "")))
    return dict(root["vouch"]), f"{url.scheme}://{url.netloc}" if url.netloc else ""


def _hosts(vouch: Values) -> list[str]:
    """The domains below which its apps are."""
    cookie = str((vouch.get("cookie") or {}).get("domain") or "").lstrip(".").lower()
    named = [str(one).lower() for one in as_list(vouch.get("domains"))]
    return list(dict.fromkeys([*([cookie] if cookie else []), *named]))


def _session(vouch: Values, hosts: list[str], left_out: list[LeftOut]) -> Values:
    """Its token's life in minutes is our absolute time-out; it had no idle time-out, so ours stays."""
    minutes = (vouch.get("jwt") or {}).get("maxAge") or 240
    if len(hosts) > 1:
        left_out.append(LeftOut("vouch.domains", f"set up {', '.join(hosts[1:])} by hand (docs/domains.md)"))
    return times_of_session(f"{minutes}m") | ({"domain": hosts[0]} if hosts else {})
