"""A gateway for hosts of several root domains, and a browser that finds all of them on loopback."""

import socket
from typing import Any
from urllib.parse import urljoin

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from tests.rig import HTML, PASSWORD, Rig, csrf_of

PORTAL, WIKI, SHOP = "login.example.com", "wiki.other.org", "shop.third.net"
CONFIG: dict[str, Any] = {
    "server": {"public_url": f"http://{PORTAL}:PORT", "allow_plain_http": True},
    "domains": [
        {
            "domain": "other.org",
            "branding": {"name": "The Other", "color": "#aa3311", "support": "ask@other.org"},
        },
        {"domain": "third.net", "hosts": [SHOP]},
    ],
    "routes": [
        {"host": WIKI, "path": "/low", "upstream": "UPSTREAM", "policy": {"require": "one_factor"}},
        {"host": WIKI, "path": "/staff", "upstream": "UPSTREAM", "policy": {"groups": ["staff"]}},
        {"host": WIKI, "path": "/", "upstream": "UPSTREAM"},
        {"host": "*", "path": "/", "upstream": "UPSTREAM"},
    ],
}


class Loopback(AbstractResolver):
    """Every name is this machine."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found: ResolveResult = {
            "hostname": host,
            "host": "127.0.0.1",
            "port": port,
            "family": socket.AF_INET,
            "proto": 0,
            "flags": 0,
        }
        return [found]

    async def close(self) -> None:
        pass


class Traveller:
    """A browser that keeps cookies host by host, and does not follow redirects unless told to."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.seen: list[str] = []
        self.session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(resolver=Loopback()), cookie_jar=aiohttp.CookieJar()
        )

    async def __aenter__(self) -> "Traveller":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.session.close()

    def url(self, host: str, path: str = "/") -> str:
        return f"http://{host}:{self.rig.port}{path}"

    async def get(self, url: str) -> aiohttp.ClientResponse:
        response = await self.session.get(url, headers=HTML, allow_redirects=False)
        await response.read()
        self.seen.append(url)
        return response

    async def follow(self, url: str, until: str = "") -> aiohttp.ClientResponse:
        """Go where one is sent, but no further than to an address that contains `until`."""
        for _ in range(10):
            response = await self.get(url)
            if response.status not in (302, 303):
                return response
            url = urljoin(url, response.headers["Location"])
            if until and until in url:
                return response
        raise AssertionError(f"round in circles: {self.seen[-10:]}")

    async def submit(self, page: aiohttp.ClientResponse, rd: str, **fields: str) -> aiohttp.ClientResponse:
        form = {"csrf_token": csrf_of(await page.text()), "rd": rd, **fields}
        origin = f"{page.url.scheme}://{page.url.authority}"
        url = f"{origin}{page.url.path}"
        headers = {**HTML, "Origin": origin}
        response = await self.session.post(url, data=form, headers=headers, allow_redirects=False)
        await response.read()
        return response

    async def sign_in(self, host: str, path: str, *, code: bool = True) -> aiohttp.ClientResponse:
        """From a page somewhere through the portal and back; returns the page."""
        form = await self.follow(self.url(host, path))
        rd = form.url.query["rd"]
        response = await self.submit(form, rd, username="alice", password=PASSWORD)
        where = urljoin(str(form.url), response.headers["Location"])
        if code:
            form = await self.follow(where)
            response = await self.submit(form, rd, code=self.rig.codes[-1])
            where = urljoin(str(form.url), response.headers["Location"])
        return await self.follow(where)

    def cookie(self, host: str, name: str = "auth_session") -> str:
        jar = self.session.cookie_jar.filter_cookies(self.session_url(host))
        return jar[name].value if name in jar else ""

    def session_url(self, host: str) -> URL:
        return URL(self.url(host))
