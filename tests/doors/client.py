"""A client over raw sockets that keeps its connection as long as the other end does."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from tests.doors.app import ID, read_body
from tests.doors.requests import Request


@dataclass(frozen=True, slots=True)
class Got:
    """What a client got; status 0 is a connection that was closed without an answer."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    def values(self, name: str) -> tuple[str, ...]:
        return tuple(value for key, value in self.headers if key == name)


SILENCE = 20.0  # short: a door that says nothing is an outcome of its own, and asked once more
"""Seconds without an answer after which a connection is given up."""


class Client:
    """Asks one door, one request after the other.

    Args:
        tag: begins each request's name.
        cookies: by user.
        secrets: what stands for what in headers, such as "$TOKEN".
    """

    def __init__(self, port: int, tag: str, cookies: dict[str, str], secrets: Mapping[str, str]) -> None:
        self._port, self._tag, self._cookies, self._secrets = port, tag, cookies, secrets
        self._again: set[int] = set()
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    def names(self, number: int) -> list[str]:
        """What the app knows this request by, the newest first. What we send a second time has another name: an engine
        that asks the app twice does so under one.
        """
        first = f"{self._tag}-{number}"
        return [f"{first}-again", first] if number in self._again else [first]

    async def ask(self, number: int, request: Request) -> Got:
        for _ in range(2):  # a kept connection may be dead, and a busy engine may lose what follows a switch
            if self._writer is None:
                self._reader, self._writer = await asyncio.open_connection(
                    "127.0.0.1", self._port, limit=1 << 20
                )
            with suppress(OSError, asyncio.IncompleteReadError):
                async with asyncio.timeout(SILENCE):
                    self._writer.write(self.serialized(number, request))
                    return await self._answer(request)
            await self.close()
            self._again.add(number)
        return Got(0)

    def serialized(self, number: int, request: Request) -> bytes:
        lines = [f"{request.method} {request.path} HTTP/1.1", f"Host: {request.host}"]
        lines += [f"{ID}: {self.names(number)[0]}", f"Accept: {'text/html' if request.html else '*/*'}"]
        lines += [f"{name}: {value}" for name, value in request.headers if name != "Cookie"]
        own = [value for name, value in request.headers if name == "Cookie"]
        if crumbs := "; ".join(filter(None, (self._cookies.get(request.who, ""), *own))):
            lines.append(f"Cookie: {crumbs}")
        body = request.body
        if request.chunked:
            lines.append("Transfer-Encoding: chunked")
            body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body) if body else b"0\r\n\r\n"
        elif body or request.method in ("POST", "PUT", "PATCH"):
            lines.append(f"Content-Length: {len(body)}")
        head = "\r\n".join((*lines, "", ""))
        for place, value in self._secrets.items():
            head = head.replace(place, value)
        return head.encode("latin-1") + body

    async def _answer(self, request: Request) -> Got:
        assert self._reader is not None
        assert self._writer is not None
        while True:
            head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            first, *lines = head.rstrip("\r\n").split("\r\n")
            status = int(first.split(" ")[1])
            if status >= 200 or status == 101:
                break
        pairs = tuple(
            (name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines)
        )
        named = dict(pairs)
        if status == 101:
            self._writer.write(b"ping")
            body = b""
            while len(body) < 4 and (more := await self._reader.read(100)):
                body += more
            await self.close()
            return Got(status, pairs, body)
        body = b""
        if request.method != "HEAD" and status not in (204, 304):
            framed = "content-length" in named or "transfer-encoding" in named
            body = await (read_body(self._reader, named) if framed else self._reader.read())
        if "close" in named.get("connection", "").lower() or first.startswith("HTTP/1.0"):
            await self.close()
        return Got(status, pairs, body)

    async def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
        self._reader = self._writer = None
