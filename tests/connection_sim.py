"""A world without sockets and without waiting for the connection's model: a loop whose time jumps, transports that
remember, and an app that does what its request's path says. What is ours in it is real: the connection, both ways to
answer, the proxy, the wires.
"""

import asyncio
import selectors
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

from aiohttp import web

from gateway.config.schema import Config, HttpLimits, Log, Route
from gateway.errors import GatewayError
from gateway.model import Principal, SessionRecord, User
from gateway.observability.access_log import AccessLog
from gateway.policy.decide import Routes
from gateway.proxy.proxy import Proxy
from gateway.request.chunked_body import ChunkedBody
from gateway.request.framing import LengthBody
from gateway.request.target import read_target
from gateway.server.connection import ClientConnection
from gateway.server.fastpath import FastPath

PEER = ("203.0.113.9", 5000)


class _Jump(selectors.SelectSelector):
    """Never waits: time goes on instead."""

    loop: "JumpingLoop"

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise AssertionError("everything waits for nothing")
        self.loop.now += max(timeout, 0)
        return []


class JumpingLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.now = 1000.0
        selector = _Jump()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        return self.now


class Pipe(asyncio.Transport):
    """One end of a connection: what is written here goes to `on_data`, in the loop's next turn."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, protocol: Any, on_data: Callable[[bytes], None]
    ) -> None:
        super().__init__()
        self.loop, self.protocol, self.on_data = loop, protocol, on_data
        self.closing = self.aborted = self.lost = self.ended = self.reading_paused = False
        self.peer_left = False
        self.waiting: list[bytes] = []

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return PEER if name == "peername" else default

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...
    def get_write_buffer_size(self) -> int:
        return 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not self.closing and not self.ended:
            self.on_data(bytes(data))

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.ended = True

    def pause_reading(self) -> None:
        self.reading_paused = True

    def resume_reading(self) -> None:
        self.reading_paused = False
        self.loop.call_soon(self._deliver)

    def receive(self, data: bytes) -> None:
        self.waiting.append(data)
        self._deliver()

    def _deliver(self) -> None:
        while self.waiting and not self.reading_paused and not self.lost and not self.closing:
            self.protocol.data_received(self.waiting.pop(0))
        if self.peer_left and not self.waiting and not self.reading_paused:
            self.lose(None)

    def leave(self) -> None:
        """The other end hangs up: that is seen behind all that it sent."""
        self.peer_left = True
        self._deliver()

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        if not self.closing:
            self.closing = True
            self.loop.call_soon(self.lose, None)

    def abort(self) -> None:
        self.aborted = True
        self.closing = True
        self.loop.call_soon(self.lose, ConnectionResetError())

    def lose(self, exc: Exception | None) -> None:
        self.closing = True
        if not self.lost:
            self.lost = True
            self.protocol.connection_lost(exc)


@dataclass
class App:
    """Answers `/number/kind`. `asked` has who asked for each number, and on how worn a connection."""

    loop: JumpingLoop
    asked: dict[int, list[tuple[str, bool]]] = field(default_factory=lambda: defaultdict(list))
    bodies: dict[int, bytes] = field(default_factory=dict)
    pipes: list[Pipe] = field(default_factory=list)
    piece: int = 1000
    delay: float = 0.0

    async def open(self, factory: Callable[[], Any], timeout: float) -> Any:
        if self.delay:
            await asyncio.sleep(self.delay)
        protocol = factory()
        serving = _Serving(self)
        serving.pipe = Pipe(self.loop, protocol, serving.received)
        self.pipes.append(serving.pipe)
        protocol.connection_made(serving.pipe)
        return protocol


class _Serving:
    """The app's end of one connection."""

    pipe: Pipe

    def __init__(self, app: App) -> None:
        self._app, self._data, self._worn = app, b"", False
        self._number, self._kind = -1, ""
        self._body: LengthBody | ChunkedBody | None = None

    def received(self, data: bytes) -> None:
        self._data += data
        while self._data:
            if self._body is not None:
                piece, self._data = self._body.feed(self._data)
                self._app.bodies[self._number] += piece
                if not self._body.complete:
                    return
                self._body = None
                if self._kind != "early":
                    self._answer()
            elif b"\r\n\r\n" not in self._data:
                return
            else:
                self._begin()

    def _begin(self) -> None:
        head, _, self._data = self._data.partition(b"\r\n\r\n")
        line, *lines = head.decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (one.partition(": ") for one in lines)}
        _, number, self._kind = line.split(" ")[1].split("/")
        self._number = int(number)
        self._app.asked[self._number].append((headers.get("remote-user", ""), self._worn))
        self._app.bodies[self._number] = b""
        if "transfer-encoding" in headers:
            self._body = ChunkedBody(1000)
        elif int(headers.get("content-length", "0")):
            self._body = LengthBody(int(headers["content-length"]))
        if self._kind == "early" or self._body is None:
            self._answer()

    def _answer(self) -> None:
        worn, self._worn = self._worn, True
        user = self._app.asked[self._number][-1][0]
        text = f"{self._number} {user}".encode()
        ok = b"HTTP/1.1 200 OK\r\n"
        chunks = b"Transfer-Encoding: chunked\r\n\r\n" + b"".join(b"1\r\n%c\r\n" % one for one in text)
        length = b"Content-Length: %d\r\n\r\n" % len(text)
        kinds = {
            "plain": ok + length + text,
            "hints": b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + ok + length + text,
            "chunks": ok + chunks + b"0\r\n\r\n",
            "more": ok + chunks + b"0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
            "close": ok + b"Connection: close\r\n" + length + text,
            "until": ok + b"\r\n" + text,
            "upgrade": ok + b"Connection: Upgrade\r\nUpgrade: h2c\r\n" + length + text,
            "early": ok + length + text,
            "half": ok + length + text[:-1],
            "halfchunks": ok + chunks[:-3],
            "odd": ok + b"Content-Length: x\r\n\r\n",
            "dies": b"",
            "worn": b"" if worn else ok + length + text,
        }
        out = kinds[self._kind]
        # What comes behind an answer in a later packet can't be told from the next answer, by nobody.
        piece = len(out) if self._kind == "more" else self._app.piece
        for at in range(0, len(out), piece or 1):
            self._app.loop.call_soon(self.pipe.receive, out[at : at + piece])
        if self._kind in ("close", "until", "half", "halfchunks", "dies") or (self._kind == "worn" and worn):
            self._later(len(out) // self._app.piece + 2, self.pipe.leave)

    def _later(self, turns: int, what: Callable[[], None]) -> None:
        if turns:
            self._app.loop.call_soon(self._later, turns - 1, what)
        else:
            what()


class _Sessions:
    cookie_name = "auth_session"

    def cached(self, value: str, host: str) -> Principal | None:
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
    {"routes": [{"host": "*", "upstream": "http://app:1", "policy": {"require": "bypass"}}]}
)


class World:
    """One client connection before an app; it is the server of that connection, too."""

    page = chosen = None
    draining = False
    linger = 1.0

    def __init__(self, loop: JumpingLoop, *, piece: int = 1000, delay: float = 0.0) -> None:
        self.loop, self.limits = loop, HttpLimits()
        route: Route = CONFIG.routes[0]
        self._route = route
        self.proxy = Proxy(CONFIG.routes, session_cookie_names=frozenset({"auth_session"}), prefix="/_auth")
        self.app = App(loop, piece=piece, delay=delay)
        upstream = self.proxy.site_of(route).pool.upstreams[0]
        upstream.open = self.app.open  # type: ignore[method-assign]
        self.fast = FastPath(
            routes=Routes(CONFIG.routes),
            sessions=cast(Any, _Sessions()),
            credentials=cast(Any, None),
            assertions=cast(Any, _Assertions()),
            proxy=self.proxy,
            pages=cast(Any, _Pages()),
            access=AccessLog(Log(access=False)),
            forward=cast(Any, _NoQuestions()),
            clock=lambda: 1000.0,
            below=("/_auth",),
            exact=frozenset(),
            trusted=(),
            header_count=100,
            traced=False,
            country_of=lambda _: "",
            rfc7239=False,
        )
        self.heard = bytearray()
        self.open: set[ClientConnection] = set()
        self.tasks: set[asyncio.Task[None]] = set()
        self.connection = ClientConnection(cast(Any, self), loop)
        self.client = Pipe(loop, self.connection, self.heard.extend)
        self.connection.connection_made(self.client)
        self.watching = loop.create_task(self.fast.watch(interval=20))

    # -- the server of the connection

    def admit(self, connection: ClientConnection) -> bool:
        self.open.add(connection)
        return True

    def left(self, connection: ClientConnection, task: "asyncio.Task[None] | None") -> None:
        self.open.discard(connection)

    async def handler(self, request: web.BaseRequest) -> web.StreamResponse:
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

    def end(self) -> None:
        self.watching.cancel()
        self.turns(2)

    def do(self, what: Callable[..., object], *args: object) -> None:
        """Let the loop do something in its next turn."""
        self.loop.call_soon(what, *args)
        self.turns(1)

    def drain(self) -> None:
        self.draining = True
        self.connection.retire()

    def turns(self, number: int) -> None:
        """Let the loop turn; time jumps only where nothing else is to be done."""
        for _ in range(number):
            self.loop.call_soon(self.loop.stop)
            self.loop.run_forever()

    def wait(self, seconds: float) -> None:
        self.loop.run_until_complete(asyncio.sleep(seconds))
