"""A real OpenID provider in Node beside the gateway; each test has its own, on a free port."""

import asyncio
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import aiohttp
import pytest

from tests.rig import Rig, running_gateway
from tests.waiting import free_port, until

SOURCE = Path(__file__).parent / "federation_provider"
CACHE = Path(tempfile.gettempdir()) / "auth-gateway-tests" / "federation_provider"
SECRET = "s:e c/r+et"
ACCOUNTS: dict[str, dict[str, Any]] = {
    "m1": {"email": "Mira@Example.com", "email_verified": True, "name": "Mira", "preferred_username": "mira"},
    "m2": {"email": "mira@example.com", "email_verified": True, "preferred_username": "mira"},
    "u1": {"email": "mira@example.com", "email_verified": False, "preferred_username": "mira"},
    "n1": {
        "email": "new@example.com",
        "email_verified": True,
        "name": "New",
        "preferred_username": "New Person",
    },
    "x1": {"email": "mallory@evil.test", "email_verified": True, "preferred_username": "mallory"},
}


def provider_folder() -> Path:
    """Where provider.mjs finds its packages; installed once. Skips without Node, unless REQUIRE_SERVICES=1."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        if os.environ.get("REQUIRE_SERVICES") == "1":
            pytest.fail("no node and npm on the PATH, and REQUIRE_SERVICES=1")
        pytest.skip("no node and npm on the PATH")
    wanted = (SOURCE / "package.json").read_text()
    done = CACHE / "installed.json"
    if not done.exists() or done.read_text() != wanted:
        CACHE.mkdir(parents=True, exist_ok=True)
        shutil.copy(SOURCE / "package.json", CACHE)
        argv = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--no-package-lock"]
        subprocess.run(argv, cwd=CACHE, check=True, timeout=300)
        done.write_text(wanted)
    shutil.copy(SOURCE / "provider.mjs", CACHE)
    return CACHE


@asynccontextmanager
async def running_provider(redirect_uri: str, port: int) -> AsyncIterator[str]:
    """The issuer of a provider that sends browsers back to `redirect_uri`."""
    environment = {**os.environ, "ACCOUNTS": json.dumps(ACCOUNTS)}
    process = subprocess.Popen(
        ["node", "provider.mjs", str(port), redirect_uri],
        cwd=provider_folder(),
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    issuer = f"http://127.0.0.1:{port}"
    try:
        await answering(f"{issuer}/.well-known/openid-configuration")
        yield issuer
    finally:
        process.terminate()
        await asyncio.to_thread(process.wait, 10)


async def answering(url: str) -> None:
    async with aiohttp.ClientSession() as session:

        async def well() -> bool:
            try:
                async with session.get(url) as answer:
                    return answer.status == 200
            except aiohttp.ClientError:
                return False

        await until(well, f"{url} answers")


@asynccontextmanager
async def federated_rig(
    folder: Path, *, gateway: dict[str, Any] | None = None, **settings: Any
) -> AsyncIterator[Rig]:
    """A gateway that knows the provider as `corp`; its clock is the real one, as the provider's is. `settings` are
    those of the provider, `gateway` has other sections.
    """
    port = free_port()
    corp = {
        "kind": "oidc",
        "name": "corp",
        "label": "Corp",
        "issuer": f"http://127.0.0.1:{port}",
        "client_id": "gateway",
        "client_secret": SECRET,
        **settings,
    }
    async with running_gateway(folder, identity_providers=[corp], **(gateway or {})) as rig:
        rig.clock.now = time.time()
        redirect = f"{rig.url}/_auth/federated/corp/callback"
        async with running_provider(redirect, port):
            yield rig


async def at_provider(session: aiohttp.ClientSession, url: str, account: str) -> str:
    """Sign in and consent at the provider's own pages, as a person would; returns where it sends the browser back."""
    for _ in range(12):
        async with session.get(url, allow_redirects=False) as answer:
            page = await answer.text()
            where = answer.headers.get("Location", "")
        while not where:
            action = re.search(r'action="([^"]+)"', page)
            assert action, page
            form = dict(re.findall(r'name="(\w+)" value="([^"]*)"', page))
            form |= {"login": account, "password": "any"} if 'name="login"' in page else {}
            async with session.post(urljoin(url, action[1]), data=form, allow_redirects=False) as answer:
                page, where = await answer.text(), answer.headers.get("Location", "")
        url = urljoin(url, where)
        if "/callback" in url:
            return url
    raise AssertionError(f"still at {url}")
