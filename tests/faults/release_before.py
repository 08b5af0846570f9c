"""The release before this code, taken out of the repository's history, and people who go to and fro between the two."""

import json
import os
import re
import subprocess
import sys
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import unescape
from io import BytesIO
from pathlib import Path

import aiohttp
import pytest
from webauthn.helpers import base64url_to_bytes

from tests.faults.serving import Machine
from tests.integration.serving import ROOT, Serving
from tests.rig import HTML, PASSWORD, csrf_of
from tests.software_key import SoftwareKey
from tests.waiting import until

RELEASED = "f382e1c8534dca66c445e906c1474843a051b5aa"
"""What the newest tag stood at when this was written (v0.2.0), for clones that bring no tags."""


def release_before() -> str:
    """The commit or tag of the last release that is not this code itself."""
    return next(iter(tags_before()), RELEASED)


def tags_before() -> list[str]:
    """The releases that this clone knows by name, newest first, without this code itself."""
    tags = git("tag", "--list", "v*", "--merged", "HEAD", "--sort=-version:refname").split()
    of_this_code = git("tag", "--points-at", "HEAD").split()
    return [tag for tag in tags if tag not in of_this_code]


def code_of_release_before(folder: Path) -> Path:
    """Unpack it below `folder`. Skips where the history is not there: in a shallow clone, in a source archive."""
    name = release_before()
    found = subprocess.run(["git", "archive", name], cwd=ROOT, capture_output=True, check=False)
    if found.returncode:
        pytest.skip(f"{name} is not in this clone: {found.stderr.decode().strip()[:200]}")
    with tarfile.open(fileobj=BytesIO(found.stdout)) as archive:
        archive.extractall(folder, filter="data")
    # Its catalogues are compiled by its installation, which this is not.
    compiling = [sys.executable, "-m", "gateway.i18n.compile"]
    subprocess.run(compiling, cwd=folder, env=os.environ | {"PYTHONPATH": str(folder)}, check=True)
    return folder


def git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout


def machine(folder: Path, name: str, code: Path, storage: dict[str, str], app: str, front: int) -> Machine:
    """One of two gateways that are the same to browsers, at the public port `front`."""
    sections = {
        "server": {"public_url": f"http://localhost:{front}"},
        "sms": {"provider": "console"},
        "routes": [
            {
                "host": "*",
                "path": "/tokened",
                "upstream": app,
                "tokens": True,
                "strip_path": True,
                "policy": {"machine_suffices": True},
            },
            {"host": "*", "path": "/", "upstream": app},
        ],
    }
    made = Machine(folder, storage, app, name=name, sections=sections)
    made.environment["PYTHONPATH"] = str(code)
    return made


@dataclass
class Visitor:
    """A browser: keeps its cookies, whichever of the gateways it is sent to. `front` is the public port."""

    front: int
    gateways: Sequence[Serving]
    username: str = "alice"
    cookies: dict[str, str] = field(default_factory=dict)

    @property
    def origin(self) -> str:
        return f"http://localhost:{self.front}"

    async def ask(
        self,
        at: Serving,
        path: str = "/quick",
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, str]:
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        sent = {**HTML, "Host": f"localhost:{self.front}", "Origin": self.origin, **(headers or {})}
        sent |= {"Cookie": cookie} if cookie else {}
        async with (
            aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as client,
            client.request(
                "GET" if form is None else "POST",
                at.url + path,
                data=form,
                headers=sent,
                allow_redirects=False,
            ) as answer,
        ):
            for name, morsel in answer.cookies.items():
                self.cookies.pop(name, None)
                if morsel.value and morsel["max-age"] != "0":
                    self.cookies[name] = morsel.value
            return answer.status, await answer.text()

    async def password(self, at: Serving, password: str = PASSWORD) -> int:
        _, page = await self.ask(at, "/_auth/login")
        form = {"username": self.username, "password": password, "csrf_token": csrf_of(page), "rd": "/quick"}
        return (await self.ask(at, "/_auth/login", form))[0]

    async def text_message(self, at: Serving, *, remember: bool = False) -> int:
        """The second step with the code that its page sends, whichever gateway sends it."""
        before = [len(one.output) for one in self.gateways]

        def codes() -> list[str]:
            said = ["".join(one.output[n:]) for one, n in zip(self.gateways, before, strict=True)]
            return re.findall(r"#(\d{6})\b", "".join(said))

        _, page = await self.ask(at, "/_auth/verify?rd=/quick")
        code = (await until(codes, "a code"))[-1]
        form = {"code": code, "csrf_token": csrf_of(page), "rd": "/quick", "method": "sms"}
        return (await self.ask(at, "/_auth/verify", form | ({"remember_device": "1"} if remember else {})))[0]

    async def enrol_key(self, at: Serving, key: SoftwareKey) -> None:
        assert await self.password(at) == 303
        _, page = await self.ask(at, "/_auth/enrol?factor=webauthn&rd=/quick")
        form = {"factor": "webauthn", "name": "Key", "csrf_token": csrf_of(page), "rd": "/quick"}
        key.handle = base64url_to_bytes(json.loads(_options(page))["user"]["id"])
        form["credential"] = key.registration(_options(page), self.origin)
        status, page = await self.ask(at, "/_auth/enrol", form)
        assert status in (200, 303), page

    async def passkey(self, at: Serving, key: SoftwareKey) -> int:
        _, page = await self.ask(at, "/_auth/passkey")
        answer = key.answer(_options(page), self.origin)
        form = {"csrf_token": csrf_of(page), "rd": "/quick", "credential": answer}
        return (await self.ask(at, "/_auth/passkey", form))[0]


def _options(page: str) -> str:
    found = re.search(r'data-options="([^"]*)"', page)
    assert found, page
    return unescape(found[1])
