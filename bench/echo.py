"""A WebSocket upstream that costs as little as Python can: `python -m bench.echo PORT` sends each frame back.

It knows only unfragmented frames below 126 bytes with a masking key of zero, which is what bench.sockets sends.
"""

import asyncio
import base64
import hashlib
import re
import sys
from typing import cast

import uvloop

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 §1.3
_MASKED_HEAD = 6
_CLOSE = 0x8


def accept_key(key: bytes) -> bytes:
    return base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest())


def echo_of(buffer: bytes) -> tuple[bytes, bytes, bool]:
    """The frames to answer with, the rest that is no whole frame yet, and whether a close was among them."""
    answer, at = b"", 0
    while len(buffer) - at >= _MASKED_HEAD:
        size = buffer[at + 1] & 0x7F
        stop = at + _MASKED_HEAD + size
        if stop > len(buffer):
            break
        answer += bytes((buffer[at], size)) + buffer[at + _MASKED_HEAD : stop]
        if buffer[at] & 0x0F == _CLOSE:
            return answer, b"", True
        at = stop
    return answer, buffer[at:], False


class Echo(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by type
        self._buffer, self._open = b"", False

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._open and not self._shake_hands():
            return
        answer, self._buffer, closing = echo_of(self._buffer)
        self._transport.write(answer)
        if closing:
            self._transport.close()

    def _shake_hands(self) -> bool:
        head, end, self._buffer = self._buffer.partition(b"\r\n\r\n")
        key = re.search(rb"(?i)sec-websocket-key:\s*(\S+)", head)
        if not end or key is None:
            self._buffer = head + end + self._buffer
            return False
        self._open = True
        self._transport.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept_key(key[1]) + b"\r\n\r\n"
        )
        return True


async def serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Echo, "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
