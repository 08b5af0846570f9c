"""`auth-gateway registration …`: who waits, and deciding about them without a browser."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.cli import main
from gateway.config.schema import PasswordRules
from gateway.directory.database import DatabaseDirectory
from gateway.directory.password_hashing import PasswordHashing
from gateway.model import User
from gateway.stores.protocols.registrations import Registration
from gateway.stores.sql.engine import open_engine
from gateway.stores.sql.registrations import SqlRegistrations
from tests.cli_rig import CONFIG
from tests.databases import give_schema

NOW = 4_000_000_000.0
"""Long after the machine's clock: these requests have not ended."""
MIRA = Registration(
    id="a1",
    address="mira@harbour.test",
    name="Mira Lund",
    phone="+4915112345670",
    lang="de",
    state="waiting",
    asked_at=1.0,
    expires_at=NOW,
)


@pytest.fixture
def command(tmp_path: Path) -> Callable[..., Result]:
    config = tmp_path / "config.yaml"
    section = "registration: {mode: approval, groups: [guests]}\n"
    config.write_text(CONFIG.format(folder=tmp_path) + section)

    async def prepare() -> None:
        url = f"sqlite:///{tmp_path}/gateway.db"
        await give_schema(url)
        engine = open_engine(url)
        await SqlRegistrations(engine).add(MIRA)
        await engine.dispose()

    asyncio.run(prepare())

    def run(*words: str) -> Result:
        return CliRunner().invoke(main, [*words, "--config", str(config)])

    return run


def _user(folder: Path) -> User | None:
    async def read() -> User | None:
        engine = open_engine(f"sqlite:///{folder}/gateway.db")
        passwords = PasswordHashing(PasswordRules())
        try:
            return await DatabaseDirectory(engine, passwords, lambda: 1.0).get(MIRA.address)
        finally:
            passwords.close()
            await engine.dispose()

    return asyncio.run(read())


def test_who_waits_is_listed_and_approved_once(command: Callable[..., Result], tmp_path: Path) -> None:
    listed = command("registration", "list")
    assert listed.output.startswith("a1\tmira@harbour.test\tMira Lund\t+4915112345670\tsince 1970-01-01")
    [row] = json.loads(command("registration", "list", "--json").output)
    assert (row["id"], row["address"], row["state"]) == ("a1", MIRA.address, "waiting")
    approved = command("registration", "approve", "a1")
    assert approved.exit_code == 0, approved.output
    assert "approved mira@harbour.test" in approved.output
    assert "/_auth/invite?token=" in approved.output, "the console sender prints the mail"
    assert "Einladung" in approved.output or "Passwort" in approved.output, "in the language of the page"
    user = _user(tmp_path)
    assert user is not None
    assert (user.name, user.phone, user.groups, user.password_hash) == (
        MIRA.name,
        MIRA.phone,
        ("guests",),
        "",
    )
    again = command("registration", "refuse", "a1")
    assert (again.exit_code, "does not wait" in again.output) == (1, True)
    assert command("registration", "list").stderr == "nobody waits\n"
    events = [json.loads(line) for line in command("audit", "tail", "--json").output.splitlines()]
    assert [one["username"] for one in events if one["event"] == "registration_approved"] == [MIRA.address]


def test_who_is_refused_is_told_and_is_no_user(command: Callable[..., Result], tmp_path: Path) -> None:
    refused = command("registration", "refuse", "a1")
    assert refused.exit_code == 0, refused.output
    assert "refused mira@harbour.test" in refused.output
    assert "abgelehnt" in refused.output
    assert command("registration", "approve", "a1").exit_code == 1
    assert _user(tmp_path) is None


def test_a_user_of_that_name_stays_as_they_are(command: Callable[..., Result], tmp_path: Path) -> None:
    assert command("user", "invite", MIRA.address, "--print", "--name", "Else").exit_code == 0
    taken = command("registration", "approve", "a1")
    assert (taken.exit_code, "already" in taken.output) == (1, True)
    assert command("registration", "list").output.startswith("a1\t")
    user = _user(tmp_path)
    assert user is not None
    assert (user.name, user.phone, user.groups) == ("Else", "", ())
