"""Two replicas behind HAProxy with one Redis and one PostgreSQL, and people who use them."""

import asyncio
import contextlib
import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import yaml

from tests.faults.serving import here
from tests.integration.serving import ROOT, Serving, started, upstream
from tests.rig import PASSWORD, PHONE, csrf_of
from tests.services import Daemon, missing
from tests.waiting import PATIENCE, free_port, until

HAPROXY = ROOT / "deploy" / "replicas" / "haproxy.cfg"


@dataclass
class Replicas:
    """`url` is HAProxy, which is also the public address."""

    folder: Path
    url: str
    a: Serving
    b: Serving

    async def command(self, *words: str) -> None:
        status, said = await here(*words, "--config", str(self.folder / "a.yaml"))
        assert status == 0, said


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **more}


def write_config(
    folder: Path, name: str, port: int, public_url: str, app: str, stores: dict[str, str]
) -> Path:
    config = {
        "server": {
            "listen": f"127.0.0.1:{port}",
            "public_url": public_url,
            "workers": 1,
            "trusted_proxies": ["127.0.0.0/8"],
        },
        "session": {"keys_file": str(folder / "session.keys")},
        "storage": stores,
        "passwords": {"argon2_memory": "8MiB", "argon2_passes": 1},
        "routes": [{"host": "*", "path": "/", "upstream": app}],
    }
    file = folder / f"{name}.yaml"
    file.write_text(yaml.safe_dump(config))
    return file


@asynccontextmanager
async def replica(config: Path, port: int) -> AsyncIterator[Serving]:
    async with started(config, port) as serving:
        await serving.said_until("auth-gateway ready")
        yield serving


@asynccontextmanager
async def haproxy(port: int, a: int, b: int) -> AsyncIterator[None]:
    binary = shutil.which("haproxy", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if binary is None:
        missing("haproxy is not installed")
    places = {"LISTEN": f"127.0.0.1:{port}", "GATEWAY_A": f"127.0.0.1:{a}", "GATEWAY_B": f"127.0.0.1:{b}"}
    process = subprocess.Popen(
        [binary, "-db", "-f", str(HAPROXY)],
        env=environment(**places),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(PATIENCE), aiohttp.ClientSession() as client:
            while True:
                with contextlib.suppress(aiohttp.ClientError):
                    async with client.get(f"http://127.0.0.1:{port}/_auth/readyz") as response:
                        if response.status == 200:
                            break
                assert process.poll() is None, "HAProxy refuses its configuration"
                await asyncio.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(PATIENCE)


@asynccontextmanager
async def running(folder: Path, postgres: Daemon, redis: Daemon) -> AsyncIterator[Replicas]:
    front, a, b = free_port(), free_port(), free_port()
    url, stores = f"http://127.0.0.1:{front}", {"url": postgres.url, "state_url": redis.url}
    async with upstream() as app:
        one = write_config(folder, "a", a, url, app, stores)
        two = write_config(folder, "b", b, url, app, stores)
        async with replica(one, a) as first, replica(two, b) as second, haproxy(front, a, b):
            replicas = Replicas(folder, url, first, second)
            adding = ("user", "add", "alice", "--phone", PHONE, "--password-stdin", "--config", str(one))
            assert (await here(*adding, text=PASSWORD + "\n"))[0] == 0
            yield replicas


class Person:
    """A browser that may be sent to a certain replica. Its cookie goes to any of them."""

    def __init__(self, replicas: Replicas) -> None:
        self.replicas, self.cookie = replicas, ""
        self.client = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())

    async def __aenter__(self) -> "Person":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.client.close()

    async def ask(
        self, method: str, path: str, form: dict[str, str] | None = None, at: Serving | None = None
    ) -> tuple[int, str]:
        public = self.replicas.url
        headers = {"Accept": "text/html", "Origin": public, "Host": public.removeprefix("http://")}
        if self.cookie:
            headers["Cookie"] = self.cookie
        where = (at.url if at else public) + path
        async with self.client.request(
            method, where, data=form, headers=headers, allow_redirects=False
        ) as response:
            text = await response.text()
            if (form is not None and response.status == 303) or not self.cookie:
                for cookie in response.headers.getall("Set-Cookie", ()):
                    self.cookie = cookie.partition(";")[0]
            return response.status, text

    async def password(self, password: str = PASSWORD, at: Serving | None = None) -> int:
        _, page = await self.ask("GET", "/_auth/login", at=at)
        form = {"username": "alice", "password": password, "csrf_token": csrf_of(page), "rd": "/quick"}
        return (await self.ask("POST", "/_auth/login", form, at=at))[0]

    async def code_form(self) -> dict[str, str]:
        """The form of the second step with the code that its page sent, whichever replica sent it."""
        outputs = [(serving, len(serving.output)) for serving in (self.replicas.a, self.replicas.b)]
        _, page = await self.ask("GET", "/_auth/verify?rd=/quick")

        def fresh() -> list[str]:
            return [code for one, n in outputs for code in re.findall(r"#(\d{6})\b", "".join(one.output[n:]))]

        await until(fresh, "a code")
        return {"code": fresh()[-1], "csrf_token": csrf_of(page), "rd": "/quick"}

    async def sign_in(self) -> None:
        assert await self.password() == 303
        assert (await self.ask("POST", "/_auth/verify", await self.code_form()))[0] == 303


@asynccontextmanager
async def traffic(person: Person) -> AsyncIterator[Counter[object]]:
    """What the app's users got, while the body of the `async with` runs."""
    seen: Counter[object] = Counter()
    over = asyncio.Event()

    async def ask() -> None:
        while not over.is_set():
            try:
                seen[(await person.ask("GET", "/quick"))[0]] += 1
            except aiohttp.ClientError as error:
                seen[repr(error)] += 1
            await asyncio.sleep(0.01)

    askers = [asyncio.create_task(ask()) for _ in range(4)]
    try:
        await until(lambda: seen[200] > 50, "traffic")
        yield seen
        target = seen[200] + 50
        await until(lambda: seen[200] > target, "traffic afterwards")
    finally:
        over.set()
        await asyncio.gather(*askers)


async def settled(replicas: Replicas, *servings: Serving) -> None:
    async with aiohttp.ClientSession() as client, asyncio.timeout(PATIENCE):
        for serving in servings:
            while True:
                async with client.get(f"{serving.url}/_auth/readyz") as response:
                    if response.status == 200:
                        break
                await asyncio.sleep(0.05)
