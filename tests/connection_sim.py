"""A world without sockets and without waiting for the connection's model. What is ours in it is real: the connections,
both ways to answer, the proxy, the wires. Several clients' connections share one app.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast

from aiohttp import web

from gateway.config.schema import Config, HttpLimits, Log, Route
from gateway.errors import GatewayError
from gateway.model import Principal, SessionRecord, User
from gateway.observability.access_log import AccessLog
from gateway.policy.decide import Routes
from gateway.proxy.proxy import Proxy
from gateway.request.target import read_target
from gateway.server.connection import ClientConnection
from gateway.server.fastpath import FastPath
from tests.connection_app_sim import App
from tests.connection_pipe_sim import JumpingLoop, Pipe

MAX_BODY = 68_000


class _Sessions:
    cookie_name = "auth_session"
    devices = SimpleNamespace(cookie_name="auth_session_bound")

    def cached(self, value: str, *_: object) -> Principal | None:
        return USERS.get(value)


class _Pages:
    readers: Any = None

    def __init__(self) -> None:
        self.readers = self

    def of(self, *_: object) -> "_Pages":
        return self

    of_headers = of

    def error(self, status: int, **_: object) -> web.Response:
        return web.Response(status=status, text=f"error {status}")


class _Assertions:
    def issue(self, principal: Principal, host: str) -> str:
        return "signed"


class _NoQuestions:
    doors, doors_below = frozenset[str](), ()


def _principal(name: str) -> Principal:
    return Principal(User(name), SessionRecord(name, name, ("password",), {"password": 0.0}, 0.0, 0.0, 1e12))


USERS = {name: _principal(name) for name in ("alice", "bob")}
CONFIG = Config.model_validate(
    {
        "routes": [
            {"host": "*", "upstream": "http://app:1", "max_body": MAX_BODY, "policy": {"require": "bypass"}}
        ]
    }
)


@dataclass(frozen=True)
class Written:
    """Something that was written to a client: where in all that it heard, and what it had sent by then."""

    at: int
    when: float
    delivered: int
    draining: bool


class Client:
    """The other end of one connection."""

    def __init__(self, world: "World", index: int) -> None:
        self._world, self._index = world, index
        self.heard = bytearray()
        self.written: list[Written] = []
        self.connection = ClientConnection(cast(Any, world), world.loop)
        self.pipe = Pipe(world.loop, self.connection, self._hear)
        self.connection.connection_made(self.pipe)
        self.paused = False
        self._asked_before = 0
        self.faults: list[str] = []
        self.too_late = False
        """Whether it sent more when the connection was closed already: that resets it, and can cost it an answer."""
        self.at_drain: tuple[int, int] | None = None
        """How much it had heard and sent when we began to drain, if nothing waited for it to take it."""

    def _hear(self, data: bytes) -> None:
        world = self._world
        self.written.append(Written(len(self.heard), world.loop.now, self.pipe.delivered, world.draining))
        self.heard += data

    def send(self, data: bytes) -> None:
        if not data:
            return
        if self.pipe.closing:
            self.too_late = True
        else:
            self._world.do(self.pipe.receive, data)

    def pause(self, paused: bool) -> None:
        """It takes no more, or again."""
        if self.paused != paused and not self.pipe.lost:
            if paused:
                self._asked_before = self._asked()
            elif self._asked() > self._asked_before + 1:
                self.faults.append("answers were made that nobody takes")
            self.paused = paused
            self._world.do(self.connection.pause_writing if paused else self.connection.resume_writing)

    def _asked(self) -> int:
        return len({number for number in self._world.app.asked if number // 100 == self._index})


class World:
    """Client connections before an app; it is the server of those connections, too."""

    page = chosen = None
    draining = False
    linger = 1.0

    def __init__(
        self, loop: JumpingLoop, *, clients: int, piece: int = 1000, delay: float = 0.0, fast: bool = True
    ) -> None:
        self.loop, self.limits = loop, HttpLimits()
        self._route: Route = CONFIG.routes[0]
        self.proxy = Proxy(
            CONFIG.routes,
            session_cookie_names=frozenset({"auth_session"}),
            prefix="/_auth",
            clock=loop.time,
        )
        self.app = App(loop, piece=piece, delay=delay)
        upstream = self.proxy.site_of(self._route).pool.upstreams[0]
        upstream._open = self._open  # type: ignore[method-assign, assignment]
        self.all_fast = FastPath(
            routes=Routes(CONFIG.routes),
            sessions=cast(Any, _Sessions()),
            credentials=cast(Any, None),
            assertions=cast(Any, _Assertions()),
            proxy=self.proxy,
            pages=cast(Any, _Pages()),
            access=AccessLog(Log(access=False)),
            forward=cast(Any, _NoQuestions()),
            clock=loop.time,
            below=("/_auth",),
            exact=frozenset(),
            trusted=(),
            header_count=100,
            traced=False,
            country_of=lambda _: "",
            rfc7239=False,
        )
        self.fast = self.all_fast if fast else None
        self.open: set[ClientConnection] = set()
        self.drained_at = 0.0
        self.clients = [Client(self, index) for index in range(clients)]
        self.watching = loop.create_task(self.all_fast.watch(interval=20))

    async def _open(self, factory: Callable[[], Any]) -> Any:
        return await self.app.open(factory)

    # -- the server of the connections

    def admit(self, connection: ClientConnection) -> bool:
        self.open.add(connection)
        return True

    def left(self, connection: ClientConnection, task: "asyncio.Task[None] | None") -> None:
        self.open.discard(connection)

    async def handler(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.path.endswith("/boom"):
            raise RuntimeError("boom")
        cookie = request.headers.get("Cookie", "").removeprefix("auth_session=")
        principal = USERS.get(cookie)
        target = read_target(
            request.method, request.raw_path, request.headers, secure=False, peer=None, trusted=()
        )
        try:
            return await self.proxy.handle(
                request, self._route, target, principal, "signed", trusted_peer=False
            )
        except GatewayError as error:
            return web.Response(status=error.status, text=f"error {error.status}")

    def sign_out(self, user: str) -> None:
        """The session ends, and with it what it holds open."""
        for admitted in (self.all_fast.admitted(), self.proxy.answers.admitted()):
            for one in admitted.get(user, []):
                one.held.close(4401, "signed out")

    def drain(self) -> None:
        self.draining, self.drained_at = True, self.loop.now
        for client in self.clients:
            if not client.paused:  # then its answer is still being written
                client.at_drain = len(client.heard), client.pipe.delivered
            client.connection.retire()

    def end(self) -> None:
        self.watching.cancel()
        self.turns(2)

    # -- time

    def do(self, what: Callable[..., object], *args: object) -> None:
        """Let the loop do something in its next turn."""
        self.loop.call_soon(what, *args)
        self.turns(1)

    def turns(self, number: int) -> None:
        """Let the loop turn; time jumps only where nothing else is to be done."""
        for _ in range(number):
            self.loop.call_soon(self.loop.stop)
            self.loop.run_forever()

    def wait(self, seconds: float) -> None:
        self.loop.run_until_complete(asyncio.sleep(seconds))
