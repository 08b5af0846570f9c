"""A gateway below a path of a host that a real nginx serves, and a crawler that follows all that its pages name."""

import asyncio
import re
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import aiohttp

from tests.integration.engines import RealClock, command, process
from tests.oidc_rig import WEB, some_keys
from tests.rig import HTML, PASSWORD, Rig, csrf_of, running_gateway
from tests.waiting import free_port

BASE, PREFIX = "/sso", "/sso/auth"
BESIDE = "another app of that host"
_NGINX = """\
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        location / {{ add_header X-Saw-Cookie "$http_cookie" always; return 200 "{beside}"; }}
        location = /sso {{ proxy_pass http://127.0.0.1:{gateway}; {headers} }}
        location /sso/ {{ proxy_pass http://127.0.0.1:{gateway}; {headers} }}
    }}
}}
"""
_HEADERS = (
    "proxy_set_header Host $http_host; proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; "
    "proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header X-Forwarded-Host $http_host;"
)
_NAMED = re.compile(r"""\s(?:href|src|action|formaction|poster|data-[a-z-]+)="([^"]*)"|url=([^";]+)""")
_METHOD = re.compile(r"<form\b[^>]*>", re.I)


@asynccontextmanager
async def below_a_path(folder: Path, **overrides: Any) -> AsyncIterator[Rig]:
    """The gateway's `url` is that of the host: its own pages are below /sso/auth, apps below /sso."""
    port, state = free_port(), folder / "nginx"
    state.mkdir()
    (folder / "oidc.keys").write_text(some_keys())
    (folder / "oidc.keys").chmod(0o600)
    settings: dict[str, Any] = {
        "server": {
            "public_url": f"http://127.0.0.1:{port}{BASE}",
            "prefix": PREFIX,
            "trusted_proxies": ["127.0.0.1/32"],
        },
        "email": {"provider": "console"},
        "oidc": {"clients": [WEB]},
        "forward": {"compatible": ["authelia"]},
        "access_requests": [
            {"group": "staff", "approvers": ["admins"], "longest": "1h"},
        ],
        "routes": [
            {"host": "*", "path": f"{BASE}/wiki", "name": "Wiki", "upstream": "UPSTREAM", "tokens": True},
            {"host": "*", "path": f"{BASE}/staff", "upstream": "UPSTREAM", "policy": {"groups": ["staff"]}},
        ],
    }
    async with running_gateway(folder, clock=RealClock(), **{**settings, **overrides}) as rig:
        gateway = rig.port
        file = state / "nginx.conf"
        file.write_text(
            _NGINX.format(folder=state, port=port, gateway=gateway, headers=_HEADERS, beside=BESIDE)
        )
        async with process(command("nginx", file), port, state):
            rig.url, rig.port = f"http://127.0.0.1:{port}", port
            yield rig


def is_below(url: str, host: str) -> bool:
    """Whether an address of this host is below the path that is passed on to us."""
    path = urlsplit(urljoin(host, url)).path
    return path == BASE or path.startswith(f"{BASE}/")


@dataclass
class Found:
    """What a crawl has seen."""

    pages: set[str] = field(default_factory=set)
    forms: set[str] = field(default_factory=set)
    leaving: set[tuple[str, str]] = field(default_factory=set)
    abroad: set[str] = field(default_factory=set)
    failed: dict[str, int] = field(default_factory=dict)
    cookie_paths: set[str] = field(default_factory=set)


class Crawler:
    """A signed-in browser that opens every address it is shown."""

    def __init__(self, rig: Rig, session: aiohttp.ClientSession) -> None:
        self.rig, self.session, self.found = rig, session, Found()

    async def sign_in(self) -> None:
        login = f"{self.rig.url}{PREFIX}/login"
        token = csrf_of(await self._text(login))
        form = {"username": "alice", "password": PASSWORD, "csrf_token": token, "rd": f"{PREFIX}/account"}
        async with self.session.post(
            login, data=form, headers=self._headers(), allow_redirects=False
        ) as said:
            self._note(said, login)
            verify = urljoin(login, said.headers["Location"])
        token = csrf_of(await self._text(verify))
        form = {"code": await self.rig.newest_code(), "csrf_token": token, "rd": f"{PREFIX}/account"}
        where = verify.partition("?")[0]
        async with self.session.post(
            where, data=form, headers=self._headers(), allow_redirects=False
        ) as said:
            self._note(said, where)
            assert said.headers["Location"] == f"{PREFIX}/account"

    async def crawl(self, *starts: str, most: int = 400) -> Found:
        """Open these and all that they name, but what would sign out."""
        waiting = deque(urljoin(self.rig.url, start) for start in starts)
        while waiting and len(self.found.pages) < most:
            url = waiting.popleft().partition("#")[0]
            if url in self.found.pages or "/logout" in url or "/end_session" in url:
                continue
            if "lang=" in url and "lang=de" not in url:  # one language has the links of all
                continue
            self.found.pages.add(url)
            async with self.session.get(url, headers=HTML, allow_redirects=False) as said:
                body = await said.text() if said.content_type in ("text/html", "application/json") else ""
                self._note(said, url)
                if said.status >= 400:
                    self.found.failed[url] = said.status
                named = [said.headers["Location"]] if "Location" in said.headers else []
                if said.content_type == "text/html":
                    named += _of_page(body)
                elif not url.endswith("/openapi.json"):  # its paths are below the address in `servers`
                    named += _of_json(body)
                waiting.extend(self._followed(url, named))
        return self.found

    def _followed(self, page: str, named: list[str]) -> list[str]:
        followed = []
        for one in named:
            url = urljoin(page, one)
            parts = urlsplit(url)
            if parts.scheme not in ("http", "https"):
                continue
            if f"{parts.scheme}://{parts.netloc}" != self.rig.url:
                self.found.abroad.add(url)
            elif not is_below(url, self.rig.url):
                self.found.leaving.add((page, one))
            else:
                followed.append(url)
        return followed

    def _note(self, said: aiohttp.ClientResponse, url: str) -> None:
        for cookie in said.headers.getall("Set-Cookie", ()):
            self.found.cookie_paths |= set(re.findall(r"(?i)path=([^;]*)", cookie)) or {f"none at {url}"}

    async def _text(self, url: str) -> str:
        async with self.session.get(url, headers=HTML, allow_redirects=False) as said:
            self._note(said, url)
            return await said.text()

    def _headers(self) -> dict[str, str]:
        return {**HTML, "Origin": self.rig.url}


def _of_page(body: str) -> list[str]:
    found = [unescape(one or other) for one, other in _NAMED.findall(body)]
    return [one for one in found if one.startswith(("/", "?", "http:", "https:")) or one.endswith(".html")]


def _of_json(body: str) -> list[str]:
    return [one for one in re.findall(r'"((?:https?:/)?/[^"\s{}]*)"', body) if not one.startswith("//")]


@asynccontextmanager
async def crawler(rig: Rig) -> AsyncIterator[Crawler]:
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(cookie_jar=jar) as session:
        yield Crawler(rig, session)
    await asyncio.sleep(0)
