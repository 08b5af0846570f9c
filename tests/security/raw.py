"""Bytes in, bytes out: what no HTTP client would send."""

import asyncio

from tests.waiting import PATIENCE


async def exchange(port: int, data: bytes) -> bytes:
    """Send `data` on a new connection and return all that comes until the peer closes it, as it must."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    answer = b""
    try:
        async with asyncio.timeout(PATIENCE):
            while chunk := await reader.read(65536):
                answer += chunk
    except ConnectionResetError:
        pass
    finally:
        writer.close()
    return answer


async def first_head(port: int, data: bytes) -> bytes:
    """Send `data` on a new connection and return the head of the first answer; the connection is kept till then."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    try:
        async with asyncio.timeout(PATIENCE):
            return await reader.readuntil(b"\r\n\r\n")
    finally:
        writer.close()


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/") else 0
