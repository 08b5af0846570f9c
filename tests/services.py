"""Real services for tests, private to the run and on free loopback ports: PostgreSQL, Redis.

Missing binaries skip, with the reason; REQUIRE_SERVICES=1 (CI) makes that a failure.
"""

import asyncio
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import asyncpg
import pytest

from tests.waiting import PATIENCE, free_port


@contextmanager
def postgres_server() -> Iterator[str]:
    """Yields "postgresql://postgres@127.0.0.1:PORT"; the cluster is gone afterwards."""
    binaries = _postgres_binaries()
    account = _unprivileged()
    folder = Path(tempfile.mkdtemp(prefix="gateway-postgres-"))
    try:
        _own(folder, account)
        _initdb(binaries, folder / "data", account)
        port = free_port()
        process = _start(binaries, folder, port, account)
        try:
            url = f"postgresql://postgres@127.0.0.1:{port}"
            _wait_until_ready(url, process)
            yield url
        finally:
            process.send_signal(signal.SIGQUIT)  # at once: writing hundreds of databases out takes a minute
            process.wait(PATIENCE)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def create_database(server: str, name: str) -> str:
    """A new, empty database on the server; returns its URL."""

    async def create() -> None:
        connection = await asyncpg.connect(f"{server}/postgres")
        await connection.execute(f'CREATE DATABASE "{name}"')
        await connection.close()

    asyncio.run(create())
    return f"{server}/{name}"


@contextmanager
def folder_for_all() -> Iterator[Path]:
    """A folder that a program may reach under any account. pytest's are root's, and it takes them back."""
    with tempfile.TemporaryDirectory(prefix="gateway-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def missing(reason: str) -> NoReturn:
    if os.environ.get("REQUIRE_SERVICES") == "1":
        pytest.fail(f"REQUIRE_SERVICES=1, but {reason}")
    pytest.skip(reason)


def program(name: str) -> str:
    """The path of an installed program, which tests must not go without in CI."""
    found = shutil.which(name, path="/usr/sbin:/usr/bin:/usr/local/bin")
    if found is None:
        missing(f"{name} is not installed")
    return str(found)


def _postgres_binaries() -> Path:
    newest = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    found = str(newest[-1]) if newest else shutil.which("initdb")
    if found is None:
        missing("PostgreSQL (initdb) is not installed")
    return Path(str(found)).resolve().parent


def _unprivileged() -> pwd.struct_passwd | None:
    """PostgreSQL refuses to run as root; then it runs as its own account or nobody's."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    missing("we are root and there is no account to run PostgreSQL as")
    return None


def _own(folder: Path, account: pwd.struct_passwd | None) -> None:
    if account is not None:
        os.chown(folder, account.pw_uid, account.pw_gid)


def _initdb(binaries: Path, data: Path, account: pwd.struct_passwd | None) -> None:
    command = [
        binaries / "initdb",
        "-D",
        data,
        "-U",
        "postgres",
        "--auth=trust",
        "-E",
        "UTF8",
        "--no-locale",
        "-N",
    ]
    subprocess.run(command, check=True, capture_output=True, cwd="/", **_as(account))


def _start(
    binaries: Path, folder: Path, port: int, account: pwd.struct_passwd | None
) -> subprocess.Popen[bytes]:
    settings = {
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": "",
        "fsync": "off",
        "max_connections": "60",
    }
    options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
    command = [binaries / "postgres", "-D", folder / "data", "-p", str(port), *options]
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, cwd="/", **_as(account))


def _as(account: pwd.struct_passwd | None) -> dict[str, int]:
    return {} if account is None else {"user": account.pw_uid, "group": account.pw_gid}


def _wait_until_ready(url: str, process: "subprocess.Popen[bytes]") -> None:
    async def ready() -> None:
        connection = await asyncpg.connect(f"{url}/postgres", timeout=PATIENCE)
        await connection.close()

    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return asyncio.run(ready())
        except (OSError, asyncpg.PostgresError):
            if process.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.05)


@dataclass
class Daemon:
    """A server of a test that can be stopped and started again on the same port, with the same data."""

    url: str
    command: list[str]
    folder: Path
    probe: Callable[[], object]
    stop_signal: signal.Signals = signal.SIGTERM
    account: pwd.struct_passwd | None = None
    process: "subprocess.Popen[bytes] | None" = None

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                self.command, stdout=log, stderr=log, cwd="/", **_as(self.account)
            )
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                self.probe()
                return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise AssertionError((self.folder / "log").read_text()[-2000:]) from None
                time.sleep(0.02)

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(self.stop_signal)
            self.process.wait(PATIENCE)
            self.process = None


@contextmanager
def postgres_daemon() -> Iterator[Daemon]:
    """A PostgreSQL that can be restarted; `url` is "postgresql://postgres@127.0.0.1:PORT/postgres"."""
    binaries, account = _postgres_binaries(), _unprivileged()
    folder = Path(tempfile.mkdtemp(prefix="gateway-postgres-"))
    try:
        _own(folder, account)
        _initdb(binaries, folder / "data", account)
        port = free_port()
        options = ["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-p", str(port)]
        command = [str(binaries / "postgres"), "-D", str(folder / "data"), *options]
        ready = [str(binaries / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)]
        url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
        daemon = Daemon(url, command, folder, lambda: _succeeds(ready), signal.SIGINT, account)
        try:
            daemon.start()
            yield daemon
        finally:
            daemon.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _succeeds(command: list[str]) -> None:
    if subprocess.run(command, check=False, capture_output=True).returncode != 0:
        raise ConnectionError("not ready yet")


@contextmanager
def redis_server() -> Iterator[Daemon]:
    """A Redis with an append-only file; `url` is "redis://127.0.0.1:PORT/0"."""
    binary = shutil.which("redis-server")
    if binary is None:
        missing("redis-server is not installed")
    folder = Path(tempfile.mkdtemp(prefix="gateway-redis-"))
    port = free_port()
    command = [binary, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--save", ""]
    command += ["--appendonly", "yes", "--appendfsync", "always", "--daemonize", "no"]
    # Killed outright: harder than an orderly end, and "appendfsync always" has written all by then.
    daemon = Daemon(
        f"redis://127.0.0.1:{port}/0", command, folder, lambda: _redis_ping(port), stop_signal=signal.SIGKILL
    )
    try:
        daemon.start()
        yield daemon
    finally:
        daemon.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _redis_ping(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), 2) as connection:
        connection.sendall(b"PING\r\n")
        if not connection.recv(64).startswith(b"+PONG"):
            raise ConnectionError("Redis is still loading")
