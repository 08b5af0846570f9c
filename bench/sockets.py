"""WebSocket load: how many echoes a second go through a server, and sockets that only stay open."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import cast

PAYLOAD = bytes(64)
_REQUEST = (
    bytes((0x82, 0x80 | len(PAYLOAD))) + bytes(4) + PAYLOAD
)  # masked, as RFC 6455 §5.1 demands, with key 0
_ECHO = bytes((0x82, len(PAYLOAD))) + PAYLOAD
_AT_ONCE = 25


class Socket(asyncio.Protocol):
    """One client connection; after `start` it sends a frame for each frame that comes back."""

    def __init__(self, port: int, headers: Mapping[str, str]) -> None:
        more = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        host = f"127.0.0.1:{port}"
        self._hello = (
            f"GET /ws HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more}\r\n"
        ).encode()
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.echoes = 0
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is none by type
        self.transport.write(self._hello)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self.opened.done():
            self._read_head()
        elif len(self._buffer) >= len(_ECHO):
            if self._buffer != _ECHO:
                raise ValueError("the echo differs")
            self._buffer = b""
            self.echoes += 1
            self.start()

    def _read_head(self) -> None:
        head, end, rest = self._buffer.partition(b"\r\n\r\n")
        if head and not head.startswith(b"HTTP/1.1 101"):
            self.opened.set_exception(ConnectionError(head.decode("latin-1")))
        elif end:
            self._buffer = rest
            self.opened.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.opened.done():
            self.opened.set_exception(error or ConnectionError("closed before it was open"))

    def start(self) -> None:
        self.transport.write(_REQUEST)


@asynccontextmanager
async def opened(port: int, headers: Mapping[str, str], count: int) -> AsyncIterator[list[Socket]]:
    loop = asyncio.get_running_loop()
    sockets: list[Socket] = []
    try:
        while len(sockets) < count:
            batch = [Socket(port, headers) for _ in range(min(_AT_ONCE, count - len(sockets)))]
            sockets += batch
            for socket in batch:
                await loop.create_connection(lambda socket=socket: socket, "127.0.0.1", port)  # type: ignore[misc]
            await asyncio.wait_for(asyncio.gather(*(socket.opened for socket in batch)), 15)
        yield sockets
    finally:
        for socket in sockets:
            if hasattr(socket, "transport"):
                socket.transport.abort()
        await asyncio.sleep(0.2)


async def echo_rate(port: int, headers: Mapping[str, str], *, count: int, seconds: float) -> float:
    async with opened(port, headers, count) as sockets:
        begin = time.perf_counter()
        for socket in sockets:
            socket.start()
        await asyncio.sleep(seconds)
        return sum(socket.echoes for socket in sockets) / (time.perf_counter() - begin)
