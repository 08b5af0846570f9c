"""Bytes in, bytes out: what no HTTP client would send."""

import asyncio


async def exchange(port: int, data: bytes, *, wait: float = 5.0) -> bytes:
    """Send `data` on a new connection and return all that comes until the peer closes or is silent for `wait` s."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    answer = b""
    try:
        while chunk := await asyncio.wait_for(reader.read(65536), wait):
            answer += chunk
    except (TimeoutError, ConnectionResetError):
        pass
    finally:
        writer.close()
    return answer


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/") else 0
