"""How proxies ask at the forward-auth addresses of other gateways, as those document it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from yarl import URL

from tests.rig import Browser, running_gateway

TRUSTED = {"trusted_proxies": ["127.0.0.1/32"]}
ALL = ["authelia", "oauth2-proxy", "vouch", "authentik"]
ROUTES: list[dict[str, Any]] = [
    {"path": "/open", "upstream": "UPSTREAM", "policy": {"require": "bypass"}},
    {"path": "/shut", "upstream": "UPSTREAM", "policy": {"require": "deny"}},
    {"path": "/one", "upstream": "UPSTREAM", "policy": {"require": "one_factor"}},
    {"path": "/", "upstream": "UPSTREAM"},
]
Headers = dict[str, str]


def forwarded(authority: str, uri: str) -> Headers:
    names = {"Method": "GET", "Proto": "http", "Host": authority, "Uri": uri}
    return {f"X-Forwarded-{name}": value for name, value in names.items()}


def original(authority: str, uri: str) -> Headers:
    return {"X-Original-URL": f"http://{authority}{uri}", "X-Original-Method": "GET"}


def original_url(authority: str, uri: str) -> Headers:
    return {"X-Original-URL": f"http://{authority}{uri}"}


def both(authority: str, uri: str) -> Headers:
    return forwarded(authority, uri) | original_url(authority, uri)


def by_uri(authority: str, uri: str) -> Headers:
    return {"Host": authority, "X-Forwarded-Uri": uri}


def in_path(authority: str, uri: str) -> Headers:
    return {"Host": authority, "X-Forwarded-Proto": "http"}


def by_host(authority: str, uri: str) -> Headers:
    return {"Host": authority}


@dataclass(frozen=True)
class Dialect:
    """How one of the peers is asked, and how it answers."""

    name: str
    path: str
    headers: Callable[[str, str], Headers]
    user_header: str
    yes: int = 200
    redirects: bool = False
    knows_method: bool = True
    forward: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.name


OUTPOST = "/outpost.goauthentik.io/auth"
DIALECTS = [
    Dialect(
        "authelia legacy traefik",
        "/api/verify?rd=https://auth.test/",
        forwarded,
        "Remote-User",
        redirects=True,
    ),
    Dialect("authelia legacy nginx", "/api/verify", original_url, "Remote-User", knows_method=False),
    Dialect("authelia legacy npm", "/api/verify", both, "Remote-User", knows_method=False),
    Dialect("authelia traefik", "/api/authz/forward-auth", forwarded, "Remote-User", redirects=True),
    Dialect("authelia nginx", "/api/authz/auth-request", original, "Remote-User"),
    Dialect("authelia envoy", "/api/authz/ext-authz/", in_path, "Remote-User", redirects=True),
    Dialect("oauth2-proxy nginx", "/oauth2/auth", by_uri, "X-Auth-Request-User", yes=202, knows_method=False),
    Dialect(
        "oauth2-proxy caddy",
        "/oauth2/auth",
        forwarded,
        "X-Forwarded-User",
        yes=202,
        forward={"x_forwarded": True},
    ),
    Dialect("authentik nginx", f"{OUTPOST}/nginx", original_url, "X-authentik-username", knows_method=False),
    Dialect("authentik traefik", f"{OUTPOST}/traefik", forwarded, "X-authentik-username", redirects=True),
    Dialect("authentik caddy", f"{OUTPOST}/caddy", forwarded, "X-authentik-username", redirects=True),
    Dialect("authentik envoy", f"{OUTPOST}/envoy", in_path, "X-authentik-username", redirects=True),
    Dialect("vouch traefik", "/validate", forwarded, "X-Vouch-User", forward={"x_forwarded": True}),
]
dialects = pytest.mark.parametrize("dialect", DIALECTS, ids=str)


def gateway(folder: Path, routes: list[dict[str, Any]] = ROUTES, **forward: Any) -> Any:
    settings = {"compatible": ALL, **forward}
    return running_gateway(folder, server=TRUSTED, routes=[dict(one) for one in routes], forward=settings)


async def fetch(browser: Browser, path: str, headers: Headers, accept: str = "text/html") -> Any:
    response = await browser.session.get(
        URL(browser.rig.url + path, encoded=True),
        headers={"Accept": accept, **headers},
        allow_redirects=False,
    )
    await response.read()
    return response


async def ask(browser: Browser, dialect: Dialect, uri: str, accept: str = "text/html", **more: str) -> Any:
    headers = dialect.headers(f"127.0.0.1:{browser.rig.port}", uri)
    path = dialect.path + uri if dialect.headers is in_path else dialect.path
    return await fetch(browser, path, headers | more, accept)
