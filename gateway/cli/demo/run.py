"""Starts the demo: app, database, user and gateway in one process, on loopback only."""

import asyncio
import contextlib
import secrets
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TextIO

from aiohttp import web

from gateway.cli.demo.app import make_app
from gateway.clock import system_clock
from gateway.config.schema import Config, Log
from gateway.directory.build import names_of
from gateway.directory.database import DatabaseDirectory
from gateway.directory.password_hashing import PasswordHashing
from gateway.errors import UserExists
from gateway.model import User
from gateway.observability.log import configure
from gateway.server.first_start import open_keys
from gateway.server.gateway import start_gateway
from gateway.server.process.sockets import Listeners
from gateway.server.process.worker import new_loop
from gateway.stores.sql.engine import open_engine
from gateway.stores.sql.migrate import migrate

USER = User(
    "demo", name="Demo User", email="demo@example.com", phone="+12025550143", groups=("staff", "admins")
)
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
"""No letter or digit that is easily taken for another."""


def run_demo(port: int, folder: Path, stream: TextIO = sys.stdout) -> None:
    """Serve until Ctrl-C. Raises ListenError if the port is taken."""
    configure(Log(level="warning", format="text"), sys.stderr)
    listeners = Listeners(f"127.0.0.1:{port}")
    listeners.grow(1)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(_demo(listeners, folder, stream))


def demo_config(port: int, folder: Path, upstream: str) -> Config:
    """Return the configuration of the demonstration: everything below `folder`, codes on the terminal."""
    return Config.model_validate(
        {
            "server": {
                "listen": f"127.0.0.1:{port}",
                "public_url": f"http://localhost:{port}",
                "workers": 1,
                "drain_timeout": "1s",
            },
            "session": {"keys_file": folder / "session.keys"},
            "storage": {"url": f"sqlite:///{folder / 'gateway.db'}"},
            "branding": {"name": "auth-gateway demo"},
            "log": {"access": False},
            "routes": [{"name": "demo", "upstream": upstream, "policy": {"require": "two_factor"}}],
        }
    )


def new_password() -> str:
    """About 59 bits, and no trouble to type."""
    return "-".join("".join(secrets.choice(_ALPHABET) for _ in range(4)) for _ in range(3))


async def _demo(listeners: Listeners, folder: Path, stream: TextIO) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with _upstream() as upstream:
        config = demo_config(listeners.port, folder, upstream)
        password = new_password()
        await _prepare_user(config, password)
        gateway = await start_gateway(config, listeners.share(0, 1), ssl_context=None, stream=stream)
        try:
            stream.write(_welcome(config.server.public_url, password))
            stream.flush()
            await stop.wait()
        finally:
            stream.write("\nStopping.\n")
            await gateway.drain(config.server.drain_timeout)


@contextlib.asynccontextmanager
async def _upstream() -> AsyncIterator[str]:
    """The demo app on a free loopback port."""
    runner = web.AppRunner(make_app(), access_log=None, handle_signals=False, shutdown_timeout=0.5)
    await runner.setup()
    sock = socket.create_server(("127.0.0.1", 0))
    await web.SockSite(runner, sock).start()
    try:
        yield f"http://127.0.0.1:{sock.getsockname()[1]}"
    finally:
        await runner.cleanup()


async def _prepare_user(config: Config, password: str) -> None:
    """A new password at each start, because the last one stands in somebody's terminal history."""
    engine = open_engine(config.storage.url)
    passwords = PasswordHashing(config.passwords, names=names_of(config))
    try:
        await migrate(engine)
        await open_keys(engine, config, system_clock)
        directory = DatabaseDirectory(engine, passwords, system_clock)
        try:
            await directory.add(USER, password)
        except UserExists:
            await directory.set_password(USER.username, password)
    finally:
        passwords.close()
        await engine.dispose()


def _welcome(url: str, password: str) -> str:
    return (
        "\n  auth-gateway demo\n\n"
        f"  Open       {url}\n"
        f"  Username   {USER.username}\n"
        f"  Password   {password}\n"
        f"  Console    {url}/_auth/admin\n\n"
        "  After the password, the code that a phone would get by SMS appears here.\n"
        "  Ctrl-C ends the demo.\n"
    )
