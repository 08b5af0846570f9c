"""Apps of docs/recipes.md as their makers publish them, each in a folder of its own, and a browser that signs in."""

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from playwright.async_api import Page, async_playwright, expect

from gateway.oidc.clients import secret_hash
from tests.e2e.conftest import ARGUMENTS, PROGRAMS
from tests.federation_rig import answering
from tests.rig import PASSWORD, FakeClock, Rig, running_gateway
from tests.waiting import free_port

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(os.environ.get("RECIPES") or ROOT / ".recipes")
"""Where apps are installed, and stay for the next time."""
SECRET = "a secret that the app and the gateway know"
GROUPS = ("staff", "ops", "developers", "data", "dba", "automation", "admins")
"""alice is in every group that a recipe asks for."""


@dataclass(frozen=True)
class Recipe:
    """An app of the page, what pip or npm call it, and what is tried with it."""

    heading: str
    tried: "Callable[[Stage], Awaitable[None]]"
    packages: tuple[str, ...]
    kind: str
    callback: str
    """Where the app's OpenID client wants its users back, a path; empty if it has none."""


RECIPES: dict[str, Recipe] = {}


def recipe(heading: str, *packages: str, kind: str = "pip", callback: str = "") -> Callable[[Any], Any]:
    """Enters what is tried with an app under the function's name."""

    def enter(tried: "Callable[[Stage], Awaitable[None]]") -> "Callable[[Stage], Awaitable[None]]":
        name = tried.__name__.replace("_", "-")
        RECIPES[name] = Recipe(heading, tried, packages, kind, callback)
        return tried

    return enter


@dataclass
class Stage:
    """One trial: `home` is where the app is installed, `folder` is new and empty, `port` is where the app listens."""

    recipe: Recipe
    home: Path
    folder: Path
    port: int
    rig: Rig
    page: Page

    @property
    def url(self) -> str:
        """The gateway's address."""
        return self.rig.url

    def program(self, name: str) -> str:
        return str(self.home / ("bin" if self.recipe.kind == "pip" else "node_modules/.bin") / name)

    @asynccontextmanager
    async def app(self, *argv: str, ready: str = "/", **settings: str) -> AsyncIterator[None]:
        """The app while it runs, once it answers below `ready`; `settings` are its environment. It and all that it
        started are ended afterwards."""
        said = (self.folder / f"said-{Path(argv[0]).name}").open("w")
        path = f"{Path(self.program('x')).parent}:{os.environ['PATH']}"
        environment = {**os.environ, "PATH": path, "HOME": str(self.folder), **settings}
        process = subprocess.Popen(
            argv, stdout=said, stderr=said, env=environment, cwd=self.folder, start_new_session=True
        )
        try:
            await answering(f"http://127.0.0.1:{self.port}{ready}")
            yield
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                await asyncio.to_thread(process.wait, 30)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)

    async def run(self, *argv: str, **settings: str) -> str:
        """What a program of the app's folder prints. Raises CalledProcessError with it on the terminal."""
        path = f"{Path(self.program('x')).parent}:{os.environ['PATH']}"
        environment = {**os.environ, "PATH": path, "HOME": str(self.folder), **settings}
        done = await asyncio.to_thread(
            subprocess.run, argv, env=environment, cwd=self.folder, capture_output=True, text=True
        )
        if done.returncode:
            print(done.stdout, done.stderr, file=sys.stderr)
        done.check_returncode()
        return done.stdout

    async def sign_in(self, path: str = "/") -> Page:
        """Password and code at our pages, on the way to `path`. A gate that lets anybody through fails."""
        await self.page.goto(self.url + path)
        await expect(self.page.get_by_role("heading", name="Sign in")).to_be_visible()
        await self.give_credentials()
        return self.page

    async def give_credentials(self) -> None:
        """On our page of sign-in, wherever the app sent the browser from."""
        await self.page.get_by_label("Username").fill("alice")
        await self.page.get_by_label("Password").fill(PASSWORD)
        await self.page.get_by_role("button", name="Continue").click()
        await expect(self.page.get_by_role("heading", name="Check your phone")).to_be_visible()
        await self.page.get_by_label("Code").fill(await self.rig.newest_code())
        await self.page.keyboard.press("Enter")
        await self.page.wait_for_url(lambda url: "/_auth/" not in url, wait_until="commit")


def install(name: str, app: Recipe) -> Path:
    """The app's folder, filled at the first time."""
    home = FOLDER / name
    if app.kind == "path" or home.exists():
        return home
    FOLDER.mkdir(parents=True, exist_ok=True)
    if app.kind == "pip":
        subprocess.run([sys.executable, "-m", "venv", home], check=True)
        subprocess.run([home / "bin/python", "-m", "pip", "install", "-q", *app.packages], check=True)
    else:
        home.mkdir()
        subprocess.run(["npm", "install", "--no-audit", "--no-fund", *app.packages], cwd=home, check=True)
    return home


def version_of(stage: Stage) -> str:
    """The installed version of the first package."""
    name = re.split(r"[=<>\[]", stage.recipe.packages[0])[0]
    if stage.recipe.kind == "path":
        return subprocess.run([name, "--version"], capture_output=True, text=True).stdout.splitlines()[0]
    if stage.recipe.kind == "pip":
        code = f"import importlib.metadata as m; print(m.version({name!r}))"
        argv = [stage.program("python"), "-c", code]
        return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip()
    package = json.loads((stage.home / "node_modules" / name / "package.json").read_text())
    return str(package["version"])


def routes(heading: str, port: int) -> list[dict[str, Any]]:
    """The routes as the page prints them, for whatever host is asked and with the app on `port`."""
    page = (ROOT / "docs/recipes.md").read_text(encoding="utf-8")
    section = page.partition(f"### {heading}\n")[2].partition("\n### ")[0]
    block = re.search(r"```yaml\n(.*?)```", section, re.S)
    assert block, heading
    printed: list[dict[str, Any]] = yaml.safe_load(block[1])["routes"]
    return [{**route, "host": "*", "upstream": f"http://127.0.0.1:{port}"} for route in printed]


@asynccontextmanager
async def staged(app: Recipe, home: Path, folder: Path) -> AsyncIterator[Stage]:
    """The gateway with the recipe's routes, a free port for the app, and a browser that has not signed in."""
    port = free_port()
    client = {
        "id": "app",
        "name": app.heading,
        "secrets": [secret_hash(SECRET)],
        "redirect_uris": [f"http://127.0.0.1:PORT{app.callback}"],
        "scopes": ["openid", "profile", "email", "groups"],
        "consent": "none",
    }
    more: dict[str, Any] = {"oidc": {"clients": [client]}} if app.callback else {}
    clock = FakeClock(time.time())  # the app's clock is the real one
    for name in ("gateway", "app"):
        (folder / name).mkdir()
    async with (
        running_gateway(folder / "gateway", clock=clock, routes=routes(app.heading, port), **more) as rig,
        async_playwright() as playwright,
    ):
        await rig.add_user(email="alice@example.com", groups=GROUPS)
        chromium = await playwright.chromium.launch(
            executable_path=next(filter(None, map(shutil.which, PROGRAMS))), args=list(ARGUMENTS)
        )
        stage = Stage(app, home, folder / "app", port, rig, await chromium.new_page())
        try:
            yield stage
        except BaseException:
            await stage.page.screenshot(path=str(FOLDER / "failed.png"))
            print("the browser is at", stage.page.url, "(failed.png)", file=sys.stderr)
            raise
        finally:
            await chromium.close()
