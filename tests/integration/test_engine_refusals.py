"""What can't be read as a request gets the same answer from Envoy (`server.engine: envoy`) as from our own server."""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from tests.doors.run import RealClock
from tests.engine_rig import behind_envoy
from tests.rig import Rig, running_gateway
from tests.waiting import PATIENCE

pytestmark = pytest.mark.xdist_group("engine")
HEAD = "GET /x HTTP/1.1\r\nHost: H\r\n"
POST = "POST /x HTTP/1.1\r\nHost: H\r\n"
BROKEN = {
    "no request line": "GET\r\n\r\n",
    "HTTP/0.9": "GET /x\r\n\r\n",
    "an unknown version": "GET /x HTTP/3.0\r\nHost: H\r\n\r\n",
    "HTTP/2 in text": "GET /x HTTP/2.0\r\nHost: H\r\n\r\n",
    "a method in small letters": "get /x HTTP/1.1\r\nHost: H\r\n\r\n",
    "no method": "G(T /x HTTP/1.1\r\nHost: H\r\n\r\n",
    "a blank before the colon": f"{HEAD}X-A : 1\r\n\r\n",
    "a folded line": f"{HEAD}X-A: 1\r\n 2\r\n\r\n",
    "a line without a colon": f"{HEAD}nonsense\r\n\r\n",
    "a bare LF": f"{HEAD}X-A: 1\n\r\n",
    "NUL in a value": f"{HEAD}X-A: 1\0\r\n\r\n",
    "no host": "GET /x HTTP/1.1\r\n\r\n",
    "two hosts": f"{HEAD}Host: other\r\n\r\n",
    "two lengths": f"{POST}Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "a length that is none": f"{POST}Content-Length: +1\r\n\r\na",
    "length and chunks": f"{POST}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "another coding": f"{POST}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "broken chunks": f"{POST}Transfer-Encoding: chunked\r\n\r\nnone\r\n\r\n",
    "a target that is too long": f"GET /{'x' * 20_000} HTTP/1.1\r\nHost: H\r\n\r\n",
    "a head that is too large": f"{HEAD}X-A: {'x' * 20_000}\r\n\r\n",
    "too many headers": HEAD + "".join(f"X-{number}: 1\r\n" for number in range(60)) + "\r\n",
    "TRACE": "TRACE /x HTTP/1.1\r\nHost: H\r\n\r\n",
    "CONNECT": "CONNECT app.test:443 HTTP/1.1\r\nHost: app.test:443\r\n\r\n",
    "an odd host": "GET /x HTTP/1.1\r\nHost: a b\r\n\r\n",
    "asterisk": "GET * HTTP/1.1\r\nHost: H\r\n\r\n",
    "an expectation": f"{POST}Expect: something\r\nContent-Length: 1\r\n\r\na",
    "a head that does not come": "GET /x HTTP/1.1\r\nHost",
}
MEANT = {
    # Envoy takes these, and what a worker and an app get of them has one reading: HTTP/1.1, one line for each header.
    "HTTP/0.9": (400, 401),
    "an unknown version": (505, 401),
    "HTTP/2 in text": (505, 401),
    "a folded line": (400, 401),
    "a bare LF": (400, 401),
    # It refuses what comes behind a head with the head; our own server asks to sign in first.
    "broken chunks": (401, 400),
    # It counts a head as a whole.
    "a target that is too long": (414, 431),
    # It refuses these before anybody is asked, and with a line; our own server knows a page by then, and the reverse.
    "no host": (400, 400),
    "an odd host": (400, 400),
    "CONNECT": (400, 400),
    "two hosts": (400, 400),
}
"""Where the answers differ: the status of our own server, and Envoy's."""
SLOW = {"head_timeout": "3s"}  # short: the head does not come
Answer = tuple[int, dict[str, str], str]


async def answers(rig: Rig) -> dict[str, Answer]:
    found = await asyncio.gather(
        *(answer(rig.port, text) for text in BROKEN.values())
    )  # Envoy closes after a second
    return dict(zip(BROKEN, found, strict=True))


async def answer(port: int, text: str) -> Answer:
    """Status, headers and body, without what names gateway or request; whether the connection ends behind it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(text.replace("Host: H\r", f"Host: 127.0.0.1:{port}\r").encode("latin-1"))
    async with asyncio.timeout(PATIENCE):
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").replace(str(port), "PORT")
        start, *lines = head.rstrip().split("\r\n")
        said = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        body = (await reader.readexactly(int(said["content-length"]))).decode().replace(str(port), "PORT")
        if said.get("connection") == "close":
            said["it does"] = str(await reader.read(1) == b"")
    writer.close()
    body = re.sub(r'"request_id": "[0-9a-f]+"', "", body)
    for changes in ("date", "x-request-id", "content-length"):
        said.pop(changes, None)
    return int(start.split()[1]), said, body


async def test_broken_requests_get_the_same_answers_at_both_doors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = {"head_size": "16KiB", "header_count": 40, **SLOW}
    over: dict[str, Any] = {"branding": {"name": "100 % Our House", "language": "de"}}
    for name in ("ours", "inside"):
        (tmp_path / name).mkdir()
    async with (
        running_gateway(tmp_path / "ours", clock=RealClock(), server={"limits": limits}, **over) as ours,
        behind_envoy(
            tmp_path / "inside", monkeypatch, clock=RealClock(), server={"limits": limits}, **over
        ) as inside,
    ):
        expected, found = await asyncio.gather(answers(ours), answers(inside))
    for name in BROKEN:
        if name in MEANT:
            assert (expected[name][0], found[name][0]) == MEANT[name], name
        else:
            assert found[name] == expected[name], name
    status, headers, page = found["a head that is too large"]
    assert (status, headers["content-language"], headers["connection"]) == (431, "de", "close")
    assert "100 % Our House" in page
