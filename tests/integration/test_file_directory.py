"""Users in a YAML file: sign-in, reload, a bad file changes nothing, a barred user is out at once."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import bcrypt
import pytest
import yaml

from gateway.config.schema import PasswordRules as PasswordSettings
from gateway.directory import yaml_file, yaml_users
from gateway.directory.base import Census
from gateway.directory.password_hashing import PasswordHashing
from gateway.directory.yaml_file import FileDirectory
from gateway.directory.yaml_users import read_users
from gateway.errors import ConfigError
from tests.integration.test_account import ids
from tests.rig import PASSWORD, PHONE, running_gateway
from tests.waiting import PATIENCE

HASH = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()


def write(path: Path, users: object) -> None:
    """As editors do: a new file takes the place of the old."""
    new = path.with_suffix(".new")
    new.write_text(yaml.safe_dump({"users": users}))
    os.replace(new, path)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "users.yaml"
    write(path, {"alice": {"password": HASH, "phone": PHONE, "groups": ["staff"]}, "bob": {"password": HASH}})
    return path


@pytest.fixture
def passwords() -> Iterator[PasswordHashing]:
    passwords = PasswordHashing(PasswordSettings(argon2_memory=64 * 1024, argon2_passes=1))
    yield passwords
    passwords.close()


async def test_users_are_found_in_every_spelling_and_passwords_checked(
    file: Path, passwords: PasswordHashing
) -> None:
    directory = FileDirectory(file, passwords)
    user = await directory.authenticate("Alice", PASSWORD)
    assert user is not None
    assert (user.username, user.phone, user.groups) == ("alice", PHONE, ("staff",))
    assert await directory.authenticate("alice", "wrong password") is None
    assert await directory.authenticate("nobody", PASSWORD) is None
    assert [one.username for one in await directory.list("STAFF", limit=9)] == ["alice"]


async def test_a_changed_file_is_read_again(file: Path, passwords: PasswordHashing) -> None:
    directory = FileDirectory(file, passwords)
    write(file, {"carol": {"password": HASH}})
    assert await directory.get("alice") is None
    assert await directory.authenticate("carol", PASSWORD) is not None


async def read_now(file: Path) -> yaml_users.RowsAndLines:
    return yaml_users.read_anywhere(file)


@pytest.mark.parametrize("read", [read_now, yaml_users.read_beside], ids=["at a start", "beside requests"])
async def test_a_large_file_is_read_in_another_process_with_the_same_outcome(
    file: Path, monkeypatch: pytest.MonkeyPatch, read: Callable[[Path], Awaitable[yaml_users.RowsAndLines]]
) -> None:
    here = await read(file)
    assert here[1] == {"alice": 2, "bob": 7}
    monkeypatch.setattr(yaml_users, "SMALL", 0)
    monkeypatch.setattr(yaml_users, "read_here", None)
    assert await read(file) == here
    file.write_text("users:\n  alice:\n    password: plain text\n  carol: {grups: [a]}\n")
    with pytest.raises(ConfigError) as caught:
        await read(file)
    assert [one.line for one in caught.value.mistakes] == [3, 4]
    monkeypatch.setattr(yaml_users, "__name__", "gateway.not_there")
    with pytest.raises(ConfigError, match="the process that reads it ended with 1"):
        await read(file)


async def test_a_list_goes_on_after_any_name(file: Path, passwords: PasswordHashing) -> None:
    write(file, {name: {"groups": ["x"] if name > "d" else []} for name in "hcbgafed"})
    directory = FileDirectory(file, passwords)
    for after, expected in (("", "abc"), ("a", "bcd"), ("cc", "def"), ("g", "h"), ("h", "")):
        assert "".join(user.username for user in await directory.list(after=after, limit=3)) == expected
    assert "".join(user.username for user in await directory.list("x", after="e", limit=2)) == "fg"
    assert await directory.count("x") == Census(4, 0)


async def test_nobody_waits_for_a_large_file(
    file: Path, passwords: PasswordHashing, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory, may_end = FileDirectory(file, passwords), asyncio.Event()
    read = yaml_file.read_beside

    async def slowly(path: Path, country: str) -> yaml_users.RowsAndLines:
        await may_end.wait()
        return await read(path, country)

    monkeypatch.setattr(yaml_file, "read_beside", slowly)
    monkeypatch.setattr(yaml_file, "SMALL", 0)
    write(file, {"carol": {"password": HASH, "groups": ["staff"]}})
    assert await directory.authenticate("alice", PASSWORD) is not None, "the users from before count"
    assert [one.username for one in await directory.list(limit=9)] == ["alice", "bob"]
    may_end.set()
    await directory.refresh()
    assert await directory.get("alice") is None
    assert [one.username for one in await directory.in_groups(["staff"], limit=9)] == ["carol"]


async def test_a_file_that_changes_while_it_is_read_is_read_again(
    file: Path, passwords: PasswordHashing, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory, read = FileDirectory(file, passwords), yaml_file.read_beside

    async def late(path: Path, country: str) -> yaml_users.RowsAndLines:
        found = await read(path, country)
        monkeypatch.setattr(yaml_file, "read_beside", read)
        write(file, {"dora": {"password": HASH}})
        return found

    monkeypatch.setattr(yaml_file, "read_beside", late)
    write(file, {"carol": {"password": HASH}})
    await directory.refresh()
    assert await directory.get("dora") is not None
    assert await directory.get("carol") is None


async def test_requests_get_their_turn_while_many_changes_are_told(
    file: Path, passwords: PasswordHashing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(yaml_file, "_FEW", 2)
    write(file, {f"user{number}": {"groups": ["a"]} for number in range(10)})
    directory = FileDirectory(file, passwords)
    write(file, {f"user{number}": {"groups": ["b"]} for number in range(10)})
    told: list[str] = []
    turns: set[int] = set()

    async def tell(change: yaml_file.FileChange) -> None:
        told.append(change.username)

    async def others() -> None:
        while len(told) < 10:
            turns.add(len(told))
            await asyncio.sleep(0)

    watching = asyncio.create_task(directory.watch(tell, interval=0))
    await others()
    watching.cancel()
    assert {2, 4, 6, 8} <= turns


async def test_addresses_are_compared_as_mail_has_them(file: Path, passwords: PasswordHashing) -> None:
    write(file, {"a": {"email": "Weiß@BÜCHER.example"}, "b": {"email": "weiss@bücher.example"}})
    directory = FileDirectory(file, passwords)
    for address, expected in (("weiß@xn--bcher-kva.example", ["a"]), ("WEISS@bücher.example", ["b"])):
        assert [user.username for user in await directory.with_email(address)] == expected


async def test_a_bad_file_changes_nothing_and_the_log_names_each_mistake(
    file: Path, passwords: PasswordHashing, caplog: pytest.LogCaptureFixture
) -> None:
    directory = FileDirectory(file, passwords)
    file.write_text("users:\n  alice:\n    password: plain text\n  carol:\n    grups: [a]\n  'a:b': {}\n")
    assert await directory.authenticate("alice", PASSWORD) is not None
    assert await directory.get("carol") is None
    for mistake in (
        "users.yaml:3: users.alice.password",
        "users.yaml:5: users.carol.grups",
        "users.yaml:6: ",
    ):
        assert mistake in caplog.text
    assert "plain text" not in caplog.text
    file.unlink()
    assert await directory.get("alice") is not None


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "users: 5",
        "users: {a: 5}",
        "users: {a: {groups: staff}}",
        "users: {a: {}, A: {}}",
        "usres: {}",
        "users: {a: {phone: '12'}}",
        "users: {a: {disabled: 'no'}}",
        "a: [",
        "\x00",
        "users: {a: {groups: ['a,b']}}",
    ],
)
def test_every_mistake_is_a_config_error(tmp_path: Path, content: str) -> None:
    path = tmp_path / "users.yaml"
    path.write_text(content)
    with pytest.raises(ConfigError):
        read_users(path)


async def test_who_is_removed_or_disabled_in_the_file_is_out_and_others_stay(
    tmp_path: Path, file: Path
) -> None:
    directory = {"kind": "file", "path": str(file)}
    routes = [{"host": "*", "path": "/", "upstream": "UPSTREAM", "policy": {"require": "one_factor"}}]
    async with (
        running_gateway(tmp_path, directory=directory, routes=routes) as rig,
        rig.browser() as alice,
        rig.browser() as bob,
    ):
        await alice.password("alice")
        await bob.password("bob")
        assert (await alice.get("/")).status == (await bob.get("/")).status == 200
        write(file, {"alice": {"password": HASH, "disabled": True}, "bob": {"password": HASH, "name": "B."}})
        async with asyncio.timeout(PATIENCE):
            while (await alice.get("/")).status == 200:
                await asyncio.sleep(0.05)
        assert ["Remote-Name", "B."] in (await (await bob.get("/")).json())["headers"]


async def test_users_of_a_file_have_a_second_number_with_us(tmp_path: Path, file: Path) -> None:
    """It is no part of the directory, which can't be changed here."""
    directory, account = {"kind": "file", "path": str(file)}, "/_auth/account"
    async with running_gateway(tmp_path, directory=directory) as rig, rig.browser() as browser:
        await browser.sign_in()
        token = await browser.token(f"/_auth/enrol?factor=second_phone&rd={account}")
        form = {"factor": "second_phone", "csrf_token": token, "rd": account}
        await browser.post("/_auth/enrol", {**form, "address": "+49 1511 2345679"})
        assert (await browser.post("/_auth/enrol", {**form, "code": rig.codes[-1]})).status in (200, 303)
        page = await (await browser.get(account)).text()
        assert "+49•••••679" in page
        [removable] = ids(page, "remove")  # and not the first number
        assert removable != "sms"
