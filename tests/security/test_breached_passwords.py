"""A password that was seen in a breach is set through no door; asking for it tells nobody which one it is."""

import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha1
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from aiohttp import web
from click.testing import CliRunner

from gateway.cli import main
from gateway.config.schema import Breached
from gateway.directory.breached_passwords import BreachedPasswords
from gateway.errors import WeakPassword
from tests.admin_rig import act, add_token, administered, api
from tests.mailbox import link_in, running_mailbox
from tests.reset_rig import MAIL, ask, follow, hidden, prove
from tests.rig import PASSWORD, csrf_of, running_gateway, running_upstream
from tests.security.test_invitations import accept, invite

LEAKED = "many small violet umbrellas"
"""Strong by every rule, but known."""


def digest(password: str) -> str:
    return sha1(password.encode(), usedforsecurity=False).hexdigest().upper()


@dataclass
class Pwned:
    """As api.pwnedpasswords.com answers: the range, and padding with a count of 0."""

    url: str = ""
    asked: list[tuple[str, str]] = field(default_factory=list)
    status: int = 200

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append((request.path, request.headers.get("Add-Padding", "")))
        prefix = request.path.removeprefix("/range/")
        lines = [f"{number:035X}:3" for number in range(40)]
        for password, count in ((LEAKED, 17), ("a padded line of nothing", 0)):
            if digest(password).startswith(prefix):
                lines.append(f"{digest(password)[5:]}:{count}")
        return web.Response(status=self.status, text="\r\n".join(lines))

    @property
    def config(self) -> dict[str, Any]:
        return {"breached": {"api": True, "url": self.url, "timeout": "30s"}}


@asynccontextmanager
async def pwned() -> AsyncIterator[Pwned]:
    service = Pwned()
    async with running_upstream(service.answer) as upstream:
        service.url = upstream.url
        yield service


async def test_only_the_first_five_digits_of_the_hash_leave_and_padding_is_no_hit() -> None:
    async with pwned() as service:
        asking = BreachedPasswords(Breached.model_validate(service.config["breached"]))
        assert await asking.seen(LEAKED)
        assert not await asking.seen("a padded line of nothing")
        assert not await asking.seen("nobody has ever used this one")
        assert service.asked[0] == (f"/range/{digest(LEAKED)[:5]}", "true")


@pytest.mark.parametrize("how", ["status", "away"])
async def test_an_outage_keeps_nobody_from_a_password_and_is_one_line_in_the_log(
    how: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with pwned() as service:
        service.status = 503
        url = service.url if how == "status" else "http://127.0.0.1:1"
        assert not await BreachedPasswords(Breached(api=True, url=url, timeout=30.0)).seen(LEAKED)
    (line,) = [record for record in caplog.records if record.name == "gateway.passwords"]
    assert line.levelno == logging.WARNING
    assert digest(LEAKED)[:5] not in line.getMessage()


@pytest.mark.parametrize("known", [0, 1, 2, 3, 500])
async def test_a_sorted_file_finds_each_of_its_lines_and_nothing_else(tmp_path: Path, known: int) -> None:
    passwords = [f"password number {number}" for number in range(known)]
    file = tmp_path / "pwned.txt"
    file.write_text("".join(sorted(f"{digest(one)}:{n + 1}\r\n" for n, one in enumerate(passwords))))
    asking = BreachedPasswords(Breached(file=file))
    assert all([await asking.seen(one) for one in passwords])
    assert not any([await asking.seen(f"another {number}") for number in range(50)])


async def test_a_folder_of_ranges_is_read_as_the_downloader_writes_it(tmp_path: Path) -> None:
    (tmp_path / f"{digest(LEAKED)[:5]}.txt").write_text(f"{'0' * 35}:1\n{digest(LEAKED)[5:]}:4\n")
    asking = BreachedPasswords(Breached(file=tmp_path))
    assert await asking.seen(LEAKED)
    assert not await asking.seen("its range is not there")


async def test_account_console_and_api_refuse_it_with_the_reason(tmp_path: Path) -> None:
    async with (
        pwned() as service,
        administered(tmp_path, passwords=service.config) as (rig, admin),
        aiohttp.ClientSession() as client,
    ):
        page = await (await admin.get("/_auth/account")).text()
        form = {"csrf_token": csrf_of(page), "do": "password", "old_password": PASSWORD, "password": LEAKED}
        answer = await admin.post("/_auth/account", form)
        assert answer.status == 422
        assert "data breach" in await answer.text()
        status, text = await act(admin, "/users", "add", username="carol", password=LEAKED)
        assert status == 422
        assert "data breach" in text
        writes = await add_token(rig, "admin:write")
        new = {"username": "dora", "password": LEAKED}
        assert (await api(client, rig, "POST", "/users", writes, json=new))[0] == 422
        assert await rig.gateway.services.users.directory.get("dora") is None
        assert await rig.directory.authenticate("alice", PASSWORD), "nothing was changed"


async def test_reset_and_invitation_refuse_it_and_the_link_lives_on(tmp_path: Path) -> None:
    async with (
        pwned() as service,
        running_mailbox() as (mailbox, email),
        running_gateway(tmp_path, email=email, passwords=service.config) as rig,
        rig.browser() as browser,
        rig.browser() as nora,
    ):
        await rig.add_user(email=MAIL)
        await ask(browser)
        [mail] = await mailbox.wait(1)
        _, form = await follow(browser, link_in(mail))
        _, form = await prove(browser, rig, form)
        refused = await browser.post("/_auth/reset", form | {"password": LEAKED})
        assert "data breach" in await refused.text()
        form = hidden(await refused.text()) or form
        taken = await browser.post("/_auth/reset", form | {"password": "an entirely new passphrase"})
        assert "Your password is changed" in await taken.text()

        link = await invite(rig)
        assert "data breach" in await (await accept(nora, link, LEAKED)).text()
        assert (await accept(nora, link, "an entirely new passphrase")).status == 303


def test_the_command_line_and_imports_refuse_it(tmp_path: Path) -> None:
    file = tmp_path / "pwned"
    file.write_text(f"{digest(LEAKED)}:1\n")
    config = tmp_path / "config.yaml"
    config.write_text(
        yaml.safe_dump(
            {
                "session": {"keys_file": str(tmp_path / "session.keys")},
                "storage": {"url": f"sqlite:///{tmp_path}/gateway.db"},
                "passwords": {"breached": {"file": str(file)}, "argon2_memory": "7MiB", "argon2_passes": 5},
            }
        )
    )

    def command(*arguments: str, text: str = "") -> str:
        result = CliRunner().invoke(main, [*arguments, "--config", str(config)], input=text)
        assert result.exit_code == 1, result.output
        return result.output

    added = command("user", "add", "alice", "--password-stdin", text=f"{LEAKED}\n")
    assert "data breach" in added
    people = tmp_path / "people.csv"
    people.write_text(f"username,password\nalice,{LEAKED}\n")
    assert "data breach" in command("user", "import", str(people))


async def test_the_directory_itself_asks_whoever_calls_it(tmp_path: Path) -> None:
    async with pwned() as service, running_gateway(tmp_path, passwords=service.config) as rig:
        await rig.add_user()
        with pytest.raises(WeakPassword):
            await rig.directory.set_password("alice", LEAKED)
        assert json.dumps(service.asked).count(digest(LEAKED)[:5]) == 1
