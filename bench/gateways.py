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

from bench.lab import SERVER_CORE, Lab, Server, nginx_command
from bench.processes import free_port
from gateway.config.schema import PasswordRules as PasswordsSection
from gateway.config.schema import Server as ServerSection
from gateway.config.sections.sms_budgets import SmsBudgets

USER, PASSWORD, PHONE = "alice", "correct horse battery", "+4915112345678"
_COMMAND = [sys.executable, "-m", "gateway"]
_PLENTY = 100_000


def has_fast_path() -> bool:
    return "fast_path" in ServerSection.model_fields


def configuration(lab: Lab, name: str, port: int, public_port: int, **server: Any) -> dict[str, Any]:
    app = {"host": "*", "upstream": f"http://127.0.0.1:{lab.origin}"}
    budgets = dict.fromkeys(SmsBudgets.model_fields, _PLENTY)
    return {
        "server": {
            "listen": f"127.0.0.1:{port}",
            "public_url": f"http://127.0.0.1:{public_port}",
            "workers": 1,
            **server,
        },
        "session": {"keys_file": str(lab.folder / f"{name}.keys")},
        "storage": {"url": f"sqlite:///{lab.folder}/{name}.db"},
        "sms": {"provider": "console", "budgets": budgets},
        "log": {"access_sample": 0.01},
        "routes": [
            {**app, "path": "/ws", "upstream": f"http://127.0.0.1:{lab.echo}"},
            {**app, "path": "/"},
        ],
    }


def start(lab: Lab, name: str, cores: str = SERVER_CORE, public_port: int = 0, **server: Any) -> Server:
    port = free_port()
    public_port = public_port or port
    stem = re.sub(r"\W+", "-", name)
    config = lab.write(f"{stem}.yaml", yaml.safe_dump(configuration(lab, stem, port, public_port, **server)))
    add_user(config)
    pid = lab.processes.start(name, [*_COMMAND, "serve", "--config", str(config)], cores=cores, port=port)
    return Server(name, port, pid, f"auth-gateway {version('auth-gateway')}")


def add_user(config: Path) -> None:
    argv = [*_COMMAND, "user", "add", USER, "--phone", PHONE, "--password-stdin", "--config", str(config)]
    subprocess.run(argv, input=PASSWORD + "\n", text=True, check=True, capture_output=True, timeout=60)


async def signed_in(lab: Lab, server: Server, public_port: int = 0) -> Server:
    cookie = await sign_in(public_port or server.port, lab.processes.log_of(server.name))
    return replace(server, headers={"Cookie": cookie})


async def sign_in(port: int, log: Path) -> str:
    """Password and code over HTTP; the code is read where the console sender wrote it. Returns the cookie."""
    url = f"http://127.0.0.1:{port}"
    headers = {"Accept": "text/html", "Origin": url}
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(url, cookie_jar=jar, headers=headers) as browser:
        seen = len(codes(log))
        await post(browser, "/_auth/login", lambda: {"username": USER, "password": PASSWORD})
        await post(browser, "/_auth/verify", lambda: {"code": next_code(log, seen)})
        return "; ".join(f"{cookie.key}={cookie.value}" for cookie in jar if cookie.key == "auth_session")


async def post(browser: aiohttp.ClientSession, path: str, form: Callable[[], dict[str, str]]) -> None:
    """`form` is asked when the page is there: a code is sent when its page is."""
    async with browser.get(path) as page:
        token = re.search(r'name="csrf_token" value="([^"]*)"', await page.text())
    fields = {**form(), "csrf_token": token[1] if token else "", "rd": "/"}
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


async def login_rate(lab: Lab, server: Server, count: int) -> float:
    """Whole sign-ins a second, one after the other: two pages, password, code."""
    log = lab.processes.log_of(server.name)
    begin = time.perf_counter()
    for _ in range(count):
        await sign_in(server.port, log)
    return count / (time.perf_counter() - begin)


async def forward_auth(lab: Lab) -> tuple[Server, Server]:
    """nginx as `auth-gateway export nginx` sets it up, asking a gateway; and that gateway's own endpoint."""
    front, name = free_port(), "gateway forward-auth"
    asked = start(lab, name, public_port=front, trusted_proxies=["127.0.0.1/32"])
    stem = re.sub(r"\W+", "-", name)
    argv = [*_COMMAND, "export", "nginx", "--config", str(lab.folder / f"{stem}.yaml")]
    text = subprocess.run(
        [*argv, "--listen", f"127.0.0.1:{front}", "--output", str(lab.folder / "forward")],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    ).stdout
    config = Path(text.split()[0])
    config.write_text(config.read_text().replace("worker_processes auto", "worker_processes 1"))
    pid = lab.processes.start("nginx asks gateway", nginx_command(config), cores=SERVER_CORE, port=front)
    asked = await signed_in(lab, asked, front)
    proxy = Server("nginx asks gateway", front, pid, "export nginx, cache 5 s", asked.headers)
    url = f"http://127.0.0.1:{front}/small"
    return proxy, replace(asked, headers={**asked.headers, "X-Original-URL": url, "X-Original-Method": "GET"})


def argon2() -> str:
    cost = PasswordsSection()
    return f"Argon2id, {cost.argon2_memory // 1024} KiB, {cost.argon2_passes} passes, 1 lane"
