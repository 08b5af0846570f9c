"""A whole gateway as a process, in front of a small app, for tests that break something around it."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import yaml
from click.testing import CliRunner

from gateway.cli import main
from tests.integration.serving import ROOT, Serving, started
from tests.rig import HTML, PASSWORD, PHONE, csrf_of
from tests.waiting import free_port

GATEWAY = (sys.executable, "-m", "gateway")


async def here(*words: str, text: str = "") -> tuple[int, str]:
    """What `command` returns, without a process of its own: Python starts for longer than the command runs."""
    done = await asyncio.to_thread(CliRunner().invoke, main, words, text)
    return done.exit_code, done.output


@dataclass
class Machine:
    """What a gateway runs on: its folder, its configuration, and what is in its environment."""

    folder: Path
    storage: dict[str, str]
    app: str = "http://127.0.0.1:9"
    name: str = "gateway"
    environment: dict[str, str] = field(default_factory=dict)
    sections: dict[str, Any] = field(default_factory=dict)
    port: int = field(default_factory=free_port)

    @property
    def config_file(self) -> Path:
        return self.folder / f"{self.name}.yaml"

    @property
    def keys_file(self) -> Path:
        return Path(self.config()["session"]["keys_file"])

    def config(self) -> dict[str, Any]:
        values: dict[str, Any] = {
            "server": {
                "listen": f"127.0.0.1:{self.port}",
                "public_url": f"http://127.0.0.1:{self.port}",
                "workers": 1,
            },
            "session": {"keys_file": str(self.folder / "session.keys")},
            "storage": self.storage,
            "passwords": {"argon2_memory": "8MiB", "argon2_passes": 5},
            "routes": [
                {"host": "*", "path": "/", "upstream": self.app, "policy": {"require": "one_factor"}},
            ],
        }
        for section, value in self.sections.items():
            values[section] = {**values.get(section, {}), **value} if isinstance(value, dict) else value
        return values

    def write(self) -> Path:
        self.config_file.write_text(yaml.safe_dump(self.config()))
        return self.config_file

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **self.environment}

    async def command(self, *words: str, text: str = "") -> tuple[int, str]:
        """The exit status and all that `auth-gateway WORDS` said. Who has an environment has a process, too."""
        if not self.environment:
            return await here(*words, "--config", str(self.write()), text=text)
        process = await asyncio.create_subprocess_exec(
            *(*GATEWAY, *words, "--config", str(self.write())),
            cwd=self.folder,
            env=self._environment(),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate(text.encode())
        return process.returncode or 0, output.decode()

    async def add_user(self, username: str = "alice", *options: str) -> None:
        words = ("user", "add", username, "--phone", PHONE, "--password-stdin", *options)
        status, said = await self.command(*words, text=PASSWORD + "\n")
        assert status == 0, said

    @contextlib.asynccontextmanager
    async def started(self) -> AsyncIterator[Serving]:
        """`serve`, which may end by itself; killed when left."""
        async with started(self.write(), self.port, environment=self.environment) as serving:
            yield serving

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[Serving]:
        """`serve`, ready; killed when left."""
        async with self.started() as serving:
            await serving.said_until("auth-gateway ready")
            yield serving


class Person:
    """A browser that signs in with a password and keeps its cookie, wherever it is sent."""

    def __init__(self, username: str = "alice") -> None:
        self.username, self.cookie = username, ""
        self._client = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())

    async def __aenter__(self) -> "Person":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()

    async def ask(
        self, at: Serving, path: str = "/quick", form: dict[str, str] | None = None, **headers: str
    ) -> tuple[int, str]:
        headers = {**HTML, "Origin": at.url, **headers, **({"Cookie": self.cookie} if self.cookie else {})}
        method = "GET" if form is None else "POST"
        async with self._client.request(
            method, at.url + path, data=form, headers=headers, allow_redirects=False
        ) as response:
            for cookie in response.headers.getall("Set-Cookie", ()):
                if cookie.startswith("auth_session="):
                    self.cookie = cookie.partition(";")[0]
            return response.status, await response.text()

    async def password(self, at: Serving, password: str = PASSWORD) -> int:
        _, page = await self.ask(at, "/_auth/login")
        form = {"username": self.username, "password": password, "csrf_token": csrf_of(page), "rd": "/quick"}
        return (await self.ask(at, "/_auth/login", form))[0]


async def ready(at: Serving) -> tuple[int, dict[str, Any]]:
    """What readyz says."""
    async with aiohttp.ClientSession() as client, client.get(f"{at.url}/_auth/readyz") as response:
        return response.status, await response.json()
