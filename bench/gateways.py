"""The gateway in its modes, started as an operator starts it and signed in to as a browser does."""

import re
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import aiohttp
import yaml
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from bench.lab import SERVER_CORE, Lab, Server, Way, nginx_command
from bench.processes import cpu_seconds, free_port
from gateway.config.schema import PasswordRules as PasswordsSection
from gateway.config.schema import Server as ServerSection
from gateway.config.sections.sms_budgets import SmsBudgets

USER, PASSWORD, PHONE = "alice", "correct horse battery", "+4915112345678"
_COMMAND = [sys.executable, "-m", "gateway"]
ASKED = "gateway, asked"
_PLENTY = 100_000
RULES = [
    {"paths": ["/ruled/admin", "/ruled/*/settings"], "groups": ["admins"]},
    {"paths": ["~/ruled/reports/[0-9]+"], "methods": ["GET"]},
    {"paths": ["/ruled/public"], "require": "bypass"},
    {"paths": ["/ruled"]},
]
"""Of a route whose requests must be compared with four kinds of paths before the last rule lets them pass."""


def has_fast_path() -> bool:
    return "fast_path" in ServerSection.model_fields


def configuration(
    lab: Lab, name: str, port: int, public_port: int, tls: bool, **server: Any
) -> dict[str, Any]:
    """The defaults, and what no operator would have: codes on the console, budgets for a thousand sign-ins."""
    app = {"host": "*", "upstream": f"http://127.0.0.1:{lab.origin}"}
    budgets = dict.fromkeys(SmsBudgets.model_fields, _PLENTY)
    pem = str(lab.certificate)
    return {
        "server": {
            "listen": f"127.0.0.1:{port}",
            "public_url": f"http{'s' * tls}://127.0.0.1:{public_port}",
            "workers": 1,
            **({"tls": {"cert_file": pem, "key_file": pem}} if tls else {}),
            **server,
        },
        "session": {"keys_file": str(lab.folder / f"{name}.keys")},
        "storage": {"url": f"sqlite:///{lab.folder}/{name}.db"},
        "sms": {"provider": "console", "budgets": budgets},
        "routes": [
            {**app, "path": "/ws", "upstream": f"http://127.0.0.1:{lab.echo}"},
            {**app, "path": "/ruled", "rules": RULES},
            {**app, "path": "/tokened", "tokens": True, "policy": {"machine_suffices": True}},
            {**app, "path": "/"},
        ],
    }


def start(
    lab: Lab, name: str, cores: str = SERVER_CORE, public_port: int = 0, *, tls: bool = False, **server: Any
) -> Server:
    port = free_port()
    public_port = public_port or port
    stem = stem_of(name)
    config = lab.write(
        f"{stem}.yaml", yaml.safe_dump(configuration(lab, stem, port, public_port, tls, **server))
    )
    add_user(config)
    token = command(config, "token", "add", "bench", "--route", "*/tokened").stdout.split()[-1]
    pid = lab.processes.start(
        name,
        [*_COMMAND, "serve", "--config", str(config)],
        cores=cores,
        port=port,
        ready="auth-gateway ready",
    )
    doors = {"token": Way("/tokened/small", {"Authorization": f"Bearer {token}"})}
    about = f"auth-gateway {version('auth-gateway')}"
    return Server(name, port, pid, about, doors=doors, tls=tls, http2="engine" in server)


def stem_of(name: str) -> str:
    return re.sub(r"\W+", "-", name)


def add_user(config: Path) -> None:
    command(config, "user", "add", USER, "--phone", PHONE, "--password-stdin", given=PASSWORD + "\n")


def command(config: Path, *argv: str, given: str = "") -> subprocess.CompletedProcess[str]:
    """An `auth-gateway` command with this configuration."""
    argv = (*_COMMAND, *argv, "--config", str(config))
    return subprocess.run(argv, input=given, text=True, check=True, capture_output=True, timeout=60)


async def signed_in(lab: Lab, server: Server, public_port: int = 0) -> Server:
    url = server.url if not public_port else f"http://127.0.0.1:{public_port}"
    session = {"Cookie": await sign_in(url, lab.processes.log_of(server.name))}
    doors = {**server.doors, "rules": Way("/ruled/small", session)}
    return replace(server, headers=session, doors=doors)


async def sign_in(url: str, log: Path) -> str:
    """Password and code over HTTP; the code is read where the console sender wrote it. Returns the cookie."""
    headers = {"Accept": "text/html", "Origin": url}
    jar = aiohttp.CookieJar(unsafe=True)
    connector = aiohttp.TCPConnector(ssl=False)  # a certificate of the lab's own
    async with aiohttp.ClientSession(url, cookie_jar=jar, headers=headers, connector=connector) as browser:
        seen = len(codes(log))
        await post(browser, "/_auth/login", lambda: {"username": USER, "password": PASSWORD})
        await post(browser, "/_auth/verify", lambda: {"code": next_code(log, seen)})
        return "; ".join(
            f"{cookie.key}={cookie.value}" for cookie in jar if cookie.key.endswith("auth_session")
        )


async def post(browser: aiohttp.ClientSession, path: str, form: Callable[[], dict[str, str]]) -> None:
    """`form` is asked when the page is there: a code is sent when its page is."""
    async with browser.get(path) as page:
        hidden = re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', await page.text())
    fields = {**dict(hidden), **form()}
    async with browser.post(path, data=fields, allow_redirects=False) as answer:
        if answer.status != 303:
            raise RuntimeError(f"{path} answered {answer.status}: {(await answer.text())[-800:]}")


def codes(log: Path) -> list[str]:
    return re.findall(r"#(\d{6,10})\b", log.read_text(errors="replace"))


def next_code(log: Path, seen: int) -> str:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        found = codes(log)
        if len(found) > seen:
            return found[-1]
        time.sleep(0.002)
    raise RuntimeError("no code came")


async def login_cost(lab: Lab, server: Server, count: int) -> dict[str, float]:
    """Whole sign-ins, one after the other (two pages, password, code): how many a second, CPU milliseconds of one."""
    log = lab.processes.log_of(server.name)
    begin, used = time.perf_counter(), cpu_seconds(server.pid)
    for _ in range(count):
        await sign_in(server.url, log)
    used = cpu_seconds(server.pid) - used
    return {"per_second": count / (time.perf_counter() - begin), "cpu_ms": used / count * 1000}


def argon2_cpu_ms(times: int = 10) -> float:
    """CPU milliseconds of one Argon2id with the gateway's default cost: what a sign-in can't do without."""
    cost = PasswordsSection()
    begin = time.process_time()
    for _ in range(times):
        Argon2id(
            salt=bytes(16),
            length=32,
            iterations=cost.argon2_passes,
            lanes=1,
            memory_cost=cost.argon2_memory // 1024,
        ).derive(PASSWORD.encode())
    return (time.process_time() - begin) / times * 1000


async def forward_auth(lab: Lab) -> tuple[Server, Server]:
    """nginx as `auth-gateway export nginx` sets it up, asking a gateway; and that gateway, asked as nginx asks it."""
    front = free_port()
    asked = start(lab, ASKED, public_port=front, trusted_proxies=["127.0.0.1/32"])
    listen, output = f"127.0.0.1:{front}", str(lab.folder / "forward")
    written = command(
        lab.folder / f"{stem_of(ASKED)}.yaml", "export", "nginx", "--listen", listen, "--output", output
    )
    config = Path(written.stdout.split()[0])
    config.write_text(config.read_text().replace("worker_processes auto", "worker_processes 1"))
    pid = lab.processes.start("nginx asks gateway", nginx_command(config), cores=SERVER_CORE, port=front)
    asked = await signed_in(lab, asked, front)
    question = {"X-Original-URL": f"http://127.0.0.1:{front}/small", "X-Original-Method": "GET"}
    way = Way("/_auth/forward?route=*/", {**asked.headers, **question})
    proxy = Server("nginx asks gateway", front, pid, "export nginx, cache 5 s", asked.headers)
    return proxy, replace(asked, pages=False, doors={"forward": way})


def argon2() -> str:
    cost = PasswordsSection()
    return f"Argon2id, {cost.argon2_memory // 1024} KiB, {cost.argon2_passes} passes, 1 lane"
