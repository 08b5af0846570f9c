"""A whole gateway in this process on loopback: a real upstream, a clock moved by hand, codes that tests read."""

import asyncio
import copy
import io
import re
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from gateway.config.schema import Config
from gateway.directory.database import DatabaseDirectory
from gateway.directory.password_hashing import PasswordHashing
from gateway.keyring import KeyRing
from gateway.model import User
from gateway.server.gateway import Gateway, start_gateway
from gateway.server.process.engine import Engine
from gateway.stores.sql.engine import open_engine
from tests.databases import give_schema
from tests.waiting import PATIENCE, until

PASSWORD = "correct horse battery"
PHONE = "+4915112345678"
HTML = {"Accept": "text/html"}


class FakeClock:
    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


def listening_socket() -> socket.socket:
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", 0))
    sock.listen(128)
    return sock


async def echo(request: web.Request) -> web.Response:
    """Tells what the upstream saw."""
    body = await request.read()
    return web.json_response(
        {
            "method": request.method,
            "path": request.raw_path,
            "headers": [[k.decode(), v.decode("latin-1")] for k, v in request.raw_headers],
            "body": body.decode("latin-1"),
        }
    )


@dataclass
class Upstream:
    url: str
    requests: list[str] = field(default_factory=list)


@asynccontextmanager
async def running_upstream(
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]] = echo,
) -> AsyncIterator[Upstream]:
    upstream = Upstream("")

    async def recording(request: web.Request) -> web.StreamResponse:
        upstream.requests.append(f"{request.method} {request.raw_path}")
        return await handler(request)

    app = web.Application(client_max_size=1 << 30)
    app.router.add_route("*", "/{tail:.*}", recording)
    runner = web.AppRunner(app)
    await runner.setup()
    sock = listening_socket()
    await web.SockSite(runner, sock).start()
    upstream.url = f"http://127.0.0.1:{sock.getsockname()[1]}"
    try:
        yield upstream
    finally:
        await runner.cleanup()


@dataclass
class Rig:
    gateway: Gateway
    config: Config
    url: str
    port: int
    clock: FakeClock
    terminal: io.StringIO
    upstream: Upstream
    directory: DatabaseDirectory
    engine: Engine | None = None

    @property
    def codes(self) -> list[str]:
        """The codes sent so far, oldest first."""
        return re.findall(r"#(\d{6,10})\b", self.terminal.getvalue())

    async def newest_code(self) -> str:
        """Once there is one: a page may be there before it."""
        return (await until(lambda: self.codes, "a code is sent"))[-1]

    async def add_user(self, username: str = "alice", **fields: Any) -> User:
        user = User(username=username, **{"phone": PHONE, "name": username.title(), **fields})
        await self.directory.add(user, PASSWORD)
        return user

    def browser(self) -> "Browser":
        return Browser(self)


class Browser:
    """What a person's browser does: keeps cookies, reads the csrf token of the form, posts it back."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.session = aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True), auto_decompress=True)

    async def __aenter__(self) -> "Browser":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.session.close()

    async def get(self, path: str, **headers: str) -> aiohttp.ClientResponse:
        response = await self.session.get(
            self.rig.url + path, headers={**HTML, **headers}, allow_redirects=False
        )
        await response.read()
        return response

    async def post(self, path: str, form: dict[str, str], **headers: str) -> aiohttp.ClientResponse:
        response = await self.session.post(
            self.rig.url + path,
            data=form,
            headers={**HTML, "Origin": self.rig.url, **headers},
            allow_redirects=False,
        )
        await response.read()
        return response

    async def token(self, path: str) -> str:
        return csrf_of(await (await self.get(path)).text())

    async def password(
        self, username: str = "alice", password: str = PASSWORD, rd: str = "/"
    ) -> aiohttp.ClientResponse:
        token = await self.token("/_auth/login")
        form = {"username": username, "password": password, "csrf_token": token, "rd": rd}
        return await self.post("/_auth/login", form)

    async def code(self, code: str | None = None, rd: str = "/", **more: str) -> aiohttp.ClientResponse:
        token = await self.token(f"/_auth/verify?rd={rd}")
        form = {"code": code or self.rig.codes[-1], "csrf_token": token, "rd": rd, **more}
        return await self.post("/_auth/verify", form)

    async def sign_in(self, username: str = "alice", rd: str = "/") -> None:
        assert (await self.password(username, rd=rd)).status == 303
        response = await self.code(rd=rd)
        assert response.status == 303, await response.text()

    async def until_status(self, status: int, path: str = "/") -> None:
        """What happened elsewhere reaches this gateway in a moment."""

        async def seen() -> bool:
            return (await self.get(path)).status == status

        await until(seen, f"{status} at {path}")

    def cookie(self) -> str:
        return next((c.value for c in self.session.cookie_jar if c.key == "auth_session"), "")


def csrf_of(page: str) -> str:
    found = re.search(r'name="csrf_token" value="([^"]*)"', page)
    return found[1] if found else ""


def make_config(folder: Path, upstream: str, port: int, overrides: dict[str, Any]) -> Config:
    values: dict[str, Any] = {
        "server": {"listen": f"127.0.0.1:{port}", "public_url": f"http://127.0.0.1:{port}", "workers": 1},
        "session": {"keys_file": str(folder / "session.keys")},
        "storage": {"url": f"sqlite:///{folder / 'gateway.db'}"},
        "sms": {"provider": "console"},
        "passwords": {"argon2_memory": "64KiB", "argon2_passes": 1},
        "routes": [{"host": "*", "path": "/", "upstream": upstream}],
    }
    for section, value in overrides.items():
        values[section] = {**values.get(section, {}), **value} if isinstance(value, dict) else value
    values["server"]["public_url"] = values["server"]["public_url"].replace("PORT", str(port))
    for client in values.get("oidc", {}).get("clients", ()):
        client["redirect_uris"] = [uri.replace("PORT", str(port)) for uri in client["redirect_uris"]]
    return Config.model_validate(values)


@asynccontextmanager
async def running_gateway(
    folder: Path,
    *,
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]] = echo,
    clock: FakeClock | None = None,
    ssl_context: ssl.SSLContext | None = None,
    sockets: Callable[[Config], list[socket.socket]] | None = None,
    **overrides: Any,
) -> AsyncIterator[Rig]:
    """`overrides` are config sections; "UPSTREAM" in routes stands for the upstream's URL, "PORT" in public_url
    and in the addresses of OpenID clients for the port. `sockets` makes others to listen on from the configuration."""
    clock = clock or FakeClock()
    overrides = copy.deepcopy(overrides)
    async with running_upstream(handler) as upstream:
        for route in overrides.get("routes", ()):
            if route.get("upstream") == "UPSTREAM":
                route["upstream"] = upstream.url
        sock = listening_socket()
        port = sock.getsockname()[1]
        config = make_config(folder, upstream.url, port, overrides)
        terminal = io.StringIO()
        await give_schema(config.storage.url)
        KeyRing.load_or_create(config.session.keys_file, clock)  # `serve` makes it at the first start
        listening = sockets(config) if sockets else [sock]
        if sockets:
            sock.close()
        gateway = await start_gateway(
            config, listening, ssl_context=ssl_context, clock=clock, stream=terminal
        )
        engine = open_engine(config.storage.url)
        passwords = PasswordHashing(config.passwords)
        directory = DatabaseDirectory(engine, passwords, clock)
        try:
            yield Rig(gateway, config, f"http://127.0.0.1:{port}", port, clock, terminal, upstream, directory)
        finally:
            passwords.close()
            await engine.dispose()
            await asyncio.wait_for(gateway.drain(5, linger=0), PATIENCE)
