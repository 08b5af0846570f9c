"""One run of wrk, or of h2load for HTTP/2, against one server, and a check before it of what the server answers."""

import re
import ssl
import subprocess
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path

from bench.figures import LoadResult, parse_h2load, parse_wrk
from bench.kinds import KINDS, Kind
from bench.lab import LOAD_CORE, SIZES, Server, Way

STREAMS = 4
"""Requests under way on one connection of HTTP/2."""


class WrongAnswer(Exception):
    """A server that answers anything else than the body asked for is not measured."""


def check(server: Server) -> None:
    """Each kind of request that the server takes is answered in full."""
    for kind in KINDS.values():
        way = server.way(kind)
        if way is None:
            continue
        status, length = fetch(server, way, b"x" * kind.body)
        size = SIZES.get(way.path.rpartition("/")[2], length)
        if status not in (200, 202) or length != size:
            raise WrongAnswer(f"{server.name}: {kind.label} gave {status} with {length} bytes")


def fetch(server: Server, way: Way, body: bytes = b"") -> tuple[int, int]:
    connection = connect(server.port, tls=server.tls)
    try:
        origin = {"Origin": server.url} if body else {}
        connection.request("POST" if body else "GET", way.path, body or None, {**way.headers, **origin})
        response = connection.getresponse()
        return response.status, len(response.read())
    finally:
        connection.close()


def connect(port: int, *, tls: bool) -> HTTPConnection:
    """To a server of the lab, whose certificate nobody has signed."""
    if not tls:
        return HTTPConnection("127.0.0.1", port, timeout=30)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return HTTPSConnection("127.0.0.1", port, timeout=30, context=context)


def run(server: Server, kind: Kind, *, seconds: float, folder: Path) -> LoadResult:
    way = server.way(kind)
    if way is None:
        raise WrongAnswer(f"{server.name} takes no {kind.label}")
    return h2load(server, way, kind, seconds) if kind.http2 else wrk(server, way, kind, seconds, folder)


def h2load(server: Server, way: Way, kind: Kind, seconds: float) -> LoadResult:
    """As many requests under way as with wrk, on a few connections."""
    argv = ["taskset", "-c", LOAD_CORE, "h2load", "-t1", f"-c{kind.connections // STREAMS}", f"-m{STREAMS}"]
    argv += [f"-D{max(1, round(seconds))}", *fields(way.headers), server.url + way.path]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=seconds + 60)
    return parse_h2load(done.stdout)


def wrk(server: Server, way: Way, kind: Kind, seconds: float, folder: Path) -> LoadResult:
    headers = {**way.headers, **({"Connection": "close"} if kind.fresh else {})}
    argv = wrk_command(server.url + way.path, headers, seconds, kind.connections)
    if kind.body:
        argv[-1:-1] = ["-s", str(post_script(folder, kind.body)), "-H", f"Origin: {server.url}"]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=seconds + 60)
    return parse_wrk(done.stdout)


def wrk_command(url: str, headers: Mapping[str, str], seconds: float, connections: int) -> list[str]:
    whole = max(1, round(seconds))
    return [
        "taskset",
        "-c",
        LOAD_CORE,
        "wrk",
        "-t1",
        f"-c{connections}",
        f"-d{whole}s",
        "--timeout",
        "5s",
        *fields(headers),
        url,
    ]


def fields(headers: Mapping[str, str]) -> list[str]:
    return [part for name, value in headers.items() for part in ("-H", f"{name}: {value}")]


def post_script(folder: Path, size: int) -> Path:
    path = folder / f"post-{size}.lua"
    path.write_text(f"""wrk.method = "POST"
wrk.headers["Content-Type"] = "application/octet-stream"
wrk.body = string.rep("x", {size})
""")
    return path


def wrk_version() -> str:
    done = subprocess.run(["wrk", "-v"], capture_output=True, text=True, check=False)
    found = re.search(r"wrk \S+", done.stdout + done.stderr)
    return found[0] if found else "wrk"


def h2load_version() -> str:
    try:
        done = subprocess.run(["h2load", "--version"], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return done.stdout.strip()
