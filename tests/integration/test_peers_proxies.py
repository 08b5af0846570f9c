"""Real nginx and Caddy, set up for Authelia, oauth2-proxy and authentik as those tell their users, pointed at us."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from tests.integration.engines import RealClock, command, process
from tests.rig import PASSWORD, Rig, csrf_of, running_gateway
from tests.waiting import free_port

NGINX = """
pid nginx.pid; error_log stderr; events {{ }}
http {{
    access_log off;
    client_body_temp_path body; proxy_temp_path proxy;
    fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;
    {servers}
}}"""

AUTHELIA = """
    server {{
        listen 127.0.0.1:{port}; server_name auth.example.test;
        location / {{
            proxy_set_header Host $http_host;
            proxy_set_header X-Original-URL $scheme://$http_host$request_uri;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_set_header X-Forwarded-Host $http_host;
            proxy_set_header X-Forwarded-URI $request_uri;
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_pass http://127.0.0.1:{gateway};
        }}
    }}
    server {{
        listen 127.0.0.1:{port}; server_name app.example.test;
        set $upstream_authelia http://127.0.0.1:{gateway}/api/authz/auth-request;
        location /internal/authelia/authz {{
            internal;
            proxy_pass $upstream_authelia;
            proxy_set_header X-Original-Method $request_method;
            proxy_set_header X-Original-URL $scheme://$http_host$request_uri;
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header Content-Length "";
            proxy_set_header Connection "";
            proxy_pass_request_body off;
        }}
        location / {{
            auth_request /internal/authelia/authz;
            auth_request_set $user $upstream_http_remote_user;
            auth_request_set $groups $upstream_http_remote_groups;
            proxy_set_header Remote-User $user;
            proxy_set_header Remote-Groups $groups;
            auth_request_set $redirection_url $upstream_http_location;
            error_page 401 =302 $redirection_url;
            proxy_pass {app};
        }}
    }}"""

AUTHENTIK = """
    server {{
        listen 127.0.0.1:{port}; server_name auth.example.test;
        location / {{
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_pass http://127.0.0.1:{gateway};
        }}
    }}
    server {{
        listen 127.0.0.1:{port}; server_name app.example.test;
        location / {{
            auth_request /outpost.goauthentik.io/auth/nginx;
            error_page 401 = @goauthentik_proxy_signin;
            auth_request_set $authentik_username $upstream_http_x_authentik_username;
            auth_request_set $authentik_groups $upstream_http_x_authentik_groups;
            proxy_set_header Remote-User $authentik_username;
            proxy_set_header X-authentik-groups $authentik_groups;
            proxy_pass {app};
        }}
        location /outpost.goauthentik.io {{
            proxy_pass http://127.0.0.1:{gateway}/outpost.goauthentik.io;
            proxy_set_header Host $http_host;
            proxy_set_header X-Original-URL $scheme://$http_host$request_uri;
            proxy_pass_request_body off;
            proxy_set_header Content-Length "";
        }}
        location @goauthentik_proxy_signin {{
            internal;
            return 302 /outpost.goauthentik.io/start?rd=$scheme://$http_host$request_uri;
        }}
    }}"""

OAUTH2_PROXY = """
    server {{
        listen 127.0.0.1:{port}; server_name app.example.test;
        location /oauth2/ {{
            proxy_pass http://127.0.0.1:{gateway};
            proxy_set_header Host $http_host;
            proxy_set_header X-Real-IP $remote_addr;
            proxy_set_header X-Auth-Request-Redirect $request_uri;
        }}
        location = /oauth2/auth {{
            proxy_pass http://127.0.0.1:{gateway};
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-Uri $request_uri;
            proxy_set_header Content-Length "";
            proxy_pass_request_body off;
        }}
        location / {{
            auth_request /oauth2/auth;
            error_page 401 %s;
            auth_request_set $user $upstream_http_x_auth_request_user;
            proxy_set_header Remote-User $user;
            proxy_pass {app};
        }}
        location @oauth2_signin {{ return 302 /oauth2/sign_in?rd=$scheme://$http_host$request_uri; }}
    }}"""

CADDY = """
{{
    admin off
    auto_https off
}}
http://app.example.test:{port} {{
    handle /oauth2/* {{
        reverse_proxy 127.0.0.1:{gateway} {{
            header_up X-Forwarded-Uri {{uri}}
        }}
    }}
    handle {{
        forward_auth 127.0.0.1:{gateway} {{
            uri /oauth2/auth
            copy_headers X-Auth-Request-User>Remote-User
            @error status 401
            handle_response @error {{
                redir * /oauth2/sign_in?rd={{scheme}}://{{host}}:{port}{{uri}}
            }}
        }}
        reverse_proxy {bare}
    }}
}}"""
OWN_HOST = {"prefix": "/oauth2"}
SHARED: dict[str, Any] = {"session": {"domain": "example.test"}}

SETUPS = {
    "authelia nginx": ("nginx", AUTHELIA, "auth", {}, SHARED | {"forward": {"compatible": ["authelia"]}}),
    "authentik nginx": ("nginx", AUTHENTIK, "auth", {}, SHARED | {"forward": {"compatible": ["authentik"]}}),
    "oauth2-proxy nginx": (
        "nginx",
        OAUTH2_PROXY % "= @oauth2_signin",
        "app",
        OWN_HOST,
        {"forward": {"compatible": ["oauth2-proxy"]}},
    ),
    "oauth2-proxy nginx, as it was": (
        "nginx",
        OAUTH2_PROXY % "=403 /oauth2/sign_in",
        "app",
        OWN_HOST,
        {"forward": {"compatible": ["oauth2-proxy"]}},
    ),
    "oauth2-proxy caddy": (
        "caddy",
        CADDY,
        "app",
        OWN_HOST,
        {"forward": {"compatible": ["oauth2-proxy"], "x_forwarded": True}},
    ),
}


class Loopback(AbstractResolver):
    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[ResolveResult]:
        return [{"hostname": host, "host": "127.0.0.1", "port": port, "family": 2, "proto": 0, "flags": 0}]

    async def close(self) -> None:
        pass


@asynccontextmanager
async def set_up(setup: str, folder: Path) -> AsyncIterator[tuple[Rig, str]]:
    """A gateway behind the engine, and the app's address there."""
    engine, template, portal, server, overrides = SETUPS[setup]
    port = free_port()
    server = {
        "public_url": f"http://{portal}.example.test:{port}",
        "trusted_proxies": ["127.0.0.1/32"],
        **server,
    }
    routes = [{"host": "app.example.test", "upstream": "UPSTREAM"}]
    async with running_gateway(folder, clock=RealClock(), server=server, routes=routes, **overrides) as rig:
        state = folder / engine
        state.mkdir()
        app = rig.upstream.url
        text = template.format(port=port, gateway=rig.port, app=app, bare=app.removeprefix("http://"))
        file = state / "config"
        file.write_text(NGINX.format(servers=text) if engine == "nginx" else text)
        words = command(engine, file)
        if engine == "nginx":
            words += ["-p", str(state)]
        async with process(words, port, state):
            yield rig, f"http://app.example.test:{port}"


@pytest.mark.parametrize("setup", SETUPS)
async def test_the_proxys_configuration_stays_as_it_is(setup: str, tmp_path: Path) -> None:
    async with set_up(setup, tmp_path) as (rig, app), browsing() as session:
        await rig.add_user("alice", groups=("ops",))
        url, page = await follow(session, f"{app}/dash?x=1")
        assert "/login?rd=" in str(url)
        form = {"username": "alice", "password": PASSWORD, "csrf_token": csrf_of(page), "rd": rd_of(page)}
        url, page = await follow(session, str(url.with_query(None)), form)
        assert "/verify" in str(url)
        assert rig.upstream.requests == []
        form = {"code": rig.codes[-1], "csrf_token": csrf_of(page), "rd": rd_of(page)}
        url, page = await follow(session, str(url.with_query(None)), form)
        assert str(url) == f"{app}/dash?x=1"
        assert '["Remote-User", "alice"]' in page or '["remote-user", "alice"]' in page.lower()


@asynccontextmanager
async def browsing() -> AsyncIterator[aiohttp.ClientSession]:
    connector = aiohttp.TCPConnector(resolver=Loopback())
    async with aiohttp.ClientSession(connector=connector, headers={"Accept": "text/html"}) as session:
        yield session


async def follow(
    session: aiohttp.ClientSession, url: str, form: dict[str, str] | None = None
) -> tuple[URL, str]:
    """As a browser does: redirects, and Refresh whatever the status."""
    origin = {"Origin": str(URL(url).origin())}
    method = "POST" if form else "GET"
    async with session.request(method, url, data=form, headers=origin if form else {}) as answer:
        refresh = answer.headers.get("Refresh", "")
        page = await answer.text()
        here = answer.url
    if refresh:
        return await follow(session, refresh.partition("url=")[2])
    return here, page


def rd_of(page: str) -> str:
    found = re.search(r'name="rd" value="([^"]*)"', page)
    return found[1].replace("&amp;", "&") if found else ""
