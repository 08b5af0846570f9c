"""One wrk run against one server, and the check before it that the server answers what it should."""

import re
import subprocess
from collections.abc import Mapping
from http.client import HTTPConnection
from pathlib import Path

from bench.figures import WrkResult, parse_wrk
from bench.lab import LOAD_CORE, SIZES, Server

_UPLOAD = """wrk.method = "POST"
wrk.headers["Content-Type"] = "application/octet-stream"
wrk.body = string.rep("x", 1048576)
"""


class WrongAnswer(Exception):
    """A server that answers anything else than the body asked for is not measured."""


def check(server: Server) -> None:
    for path, size in SIZES.items():
        status, length = fetch(server, "GET", f"/{path}")
        if (status, length) != (200, size):
            raise WrongAnswer(f"{server.name}: /{path} gave {status} with {length} bytes")
    status, _ = fetch(server, "POST", "/sink", b"x" * 100_000)
    if status != 200:
        raise WrongAnswer(f"{server.name}: an upload gave {status}")


def fetch(server: Server, method: str, path: str, body: bytes | None = None) -> tuple[int, int]:
    connection = HTTPConnection("127.0.0.1", server.port, timeout=10)
    try:
        origin = {"Origin": f"http://127.0.0.1:{server.port}"} if body else {}
        connection.request(method, path, body, {**server.headers, **origin})
        response = connection.getresponse()
        return response.status, len(response.read())
    finally:
        connection.close()


def wrk(
    server: Server, path: str, *, seconds: float, connections: int, script: Path | None = None
) -> WrkResult:
    argv = wrk_command(f"http://127.0.0.1:{server.port}{path}", server.headers, seconds, connections)
    if script is not None:
        argv[-1:-1] = ["-s", str(script), "-H", f"Origin: http://127.0.0.1:{server.port}"]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=seconds + 30)
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


def upload_script(folder: Path) -> Path:
    path = folder / "upload.lua"
    path.write_text(_UPLOAD)
    return path


def wrk_version() -> str:
    done = subprocess.run(["wrk", "-v"], capture_output=True, text=True, check=False)
    found = re.search(r"wrk \S+", done.stdout + done.stderr)
    return found[0] if found else "wrk"
