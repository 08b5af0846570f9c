"""One wrk run against one server, and the check before it that the server answers what it should."""

import re
import ssl
import subprocess
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path

from bench.figures import WrkResult, parse_wrk
from bench.kinds import KINDS, Kind
from bench.lab import LOAD_CORE, SIZES, Server, Way


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


def wrk(server: Server, kind: Kind, *, seconds: float, folder: Path) -> WrkResult:
    way = server.way(kind)
    if way is None:
        raise WrongAnswer(f"{server.name} takes no {kind.label}")
    headers = {**way.headers, **({"Connection": "close"} if kind.fresh else {})}
    argv = wrk_command(server.url + way.path, headers, seconds, kind.connections)
    if kind.body:
        argv[-1:-1] = ["-s", str(post_script(folder, kind.body)), "-H", f"Origin: {server.url}"]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=seconds + 60)
    return parse_wrk(done.stdout)


def wrk_command(url: str, headers: Mapping[str, str], seconds: float, connections: int) -> list[str]:
    fields = [part for name, value in headers.items() for part in ("-H", f"{name}: {value}")]
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
        *fields,
        url,
    ]


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
