"""What the console and `admin export` write, `user import` and the file directory read back."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from gateway.admin.charts import bar_chart
from gateway.admin.exports import users_yaml
from gateway.admin.traffic import Traffic
from gateway.cli import main
from gateway.directory.user_files import ImportedUser, read_yaml
from gateway.directory.yaml_users import read_users
from gateway.model import User

HASH = "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQxMjM0NTY$lkpB9RmM/mTyMcRYsBTVo2ib9HXYC8U2tP3Bq4gZXxk"
USERS = [
    User(
        "alice",
        name='Alice: "A"',
        email="a@example.test",
        phone="+4915112345678",
        groups=("admins", "no"),
        password_hash=HASH,
    ),
    User("123", disabled=True),
    User("null"),
    User("jürgen", name="#x"),
]


class Everybody:
    """A directory of these users, in pages of two."""

    async def list(self, search: str = "", *, after: str = "", limit: int) -> Sequence[User]:
        return [user for user in sorted(USERS, key=lambda one: one.username) if user.username > after][:2]


async def exported(*, passwords: bool, directory: Any = Everybody) -> str:
    return b"".join([part async for part in users_yaml(directory(), passwords=passwords)]).decode()


async def test_an_export_is_a_users_file_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "users.yaml"
    file.write_text(await exported(passwords=True), encoding="utf-8")
    assert read_users(file) == {user.username: user for user in USERS}


async def test_an_export_of_nobody_is_a_users_file(tmp_path: Path) -> None:
    class Nobody:
        async def list(self, search: str = "", *, after: str = "", limit: int) -> Sequence[User]:
            return ()

    file = tmp_path / "users.yaml"
    file.write_text(await exported(passwords=True, directory=Nobody), encoding="utf-8")
    assert read_users(file) == {}


async def test_an_export_is_imported_whole() -> None:
    entries = list(read_yaml(await exported(passwords=True)))
    users = {one.user.username: one.user for one in entries if isinstance(one, ImportedUser)}
    assert users == {user.username: user for user in USERS}


async def test_hashes_are_left_out_unless_asked_for() -> None:
    assert "argon2" not in await exported(passwords=False)


def test_a_chart_scales_to_a_round_number_and_draws_no_empty_bars() -> None:
    chart = bar_chart(["a", "b"], {"good": [0, 37], "bad": [1, 0]})
    assert chart.top == 50
    assert len(chart.bars) == 2
    assert bar_chart([], {"good": []}).empty


def test_quantiles_come_from_the_buckets() -> None:
    traffic = Traffic(buckets={0.1: 50, 0.2: 100, float("inf"): 100})
    assert traffic.quantile(0.5) == pytest.approx(0.1)
    assert traffic.quantile(0.75) == pytest.approx(0.15)
    assert Traffic().quantile(0.5) is None


CONFIG = """
storage: {{url: "sqlite:///{folder}/gateway.db"}}
session: {{keys_file: "{folder}/session.keys"}}
passwords: {{argon2_memory: 7MiB, argon2_passes: 1}}
routes: [{{path: /, upstream: "http://127.0.0.1:9"}}]
"""


@pytest.fixture
def command(tmp_path: Path) -> Callable[..., Result]:
    file = tmp_path / "config.yaml"
    file.write_text(CONFIG.format(folder=tmp_path / "var"))
    return lambda *arguments, **more: CliRunner().invoke(main, [*arguments, "--config", str(file)], **more)


def test_the_command_exports_what_import_takes(command: Callable[..., Result], tmp_path: Path) -> None:
    command("user", "add", "alice", "--password-stdin", "--group", "admins", input="correct horse battery\n")
    exported = tmp_path / "users.yaml"
    exported.write_text(command("admin", "export").output)
    assert "$argon2id$" in exported.read_text()
    assert "argon2" not in command("admin", "export", "--no-passwords").output
    command("user", "delete", "alice", "--yes")
    assert command("user", "import", str(exported)).output == "imported 1, 0 bad lines\n"
    assert "admins" in command("user", "list").output


def test_a_token_is_for_a_route_or_a_scope_of_the_api(command: Callable[..., Result]) -> None:
    assert command("token", "add", "x").exit_code == 2
    assert command("token", "add", "x", "--scope", "admin:all").exit_code == 2
    assert command("token", "add", "x", "--scope", "admin:read").output.startswith("agt_")
    assert "admin:read" in command("token", "list").output
