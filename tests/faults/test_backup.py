"""A backup restored into an empty place, on the other kind of database: everything goes on. Broken ones are refused."""

import asyncio
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from gateway.cli import main
from gateway.stores.protocols.core import Credential
from gateway.stores.sealed_file import BackupRefused, read_sealed, write_sealed
from tests.admin_rig import add_token, api
from tests.integration.test_factor_enrolment import code_of, enrol_totp
from tests.rig import Rig, running_gateway

PASSPHRASE = "correct horse battery staple"


def command(folder: Path, url: str, *words: str, passphrase: str = PASSPHRASE) -> Result:
    """`auth-gateway WORDS` on the place of `folder`."""
    config = {
        "session": {"keys_file": str(folder / "session.keys")},
        "storage": {"url": url},
        "routes": [{"host": "*", "path": "/", "upstream": "http://127.0.0.1:9"}],
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    environment = {"AUTH_GATEWAY_BACKUP_PASSPHRASE": passphrase}
    return CliRunner().invoke(main, [*words, "--config", str(folder / "config.yaml")], env=environment)


def sqlite(folder: Path) -> str:
    return f"sqlite:///{folder}/gateway.db"


async def test_sessions_factors_and_tokens_go_on_after_a_restore_into_an_empty_place_of_the_other_kind(
    tmp_path: Path, database: str
) -> None:
    old, new, file = tmp_path / "old", tmp_path / "new", tmp_path / "backup"
    old.mkdir()
    new.mkdir()
    async with running_gateway(old) as rig, rig.browser() as alice:
        await rig.add_user()
        await rig.add_user("bob", phone="+4915112345679")
        await alice.sign_in()
        async with rig.browser() as bob:
            await bob.sign_in("bob")
        passkey = Credential("key", "alice", "webauthn", "a key", b"\x00public\xff", rig.clock(), counter=7)
        await rig.gateway.stores.credentials.add(passkey)
        secret, _ = await enrol_totp(rig, alice)
        token = await add_token(rig, "admin:read")
        cookie, now = alice.cookie(), rig.clock.now
        made = await asyncio.to_thread(command, old, sqlite(old), "backup", str(file))
        assert made.exit_code == 0, made.output
        assert file.stat().st_mode & 0o777 == 0o600
        assert b"alice" not in file.read_bytes()

    restored = await asyncio.to_thread(command, new, database, "restore", str(file))
    assert restored.exit_code == 0, restored.output
    assert (new / "session.keys").stat().st_mode & 0o777 == 0o600
    async with running_gateway(new, storage={"url": database}) as rig:
        rig.clock.now = now + 60
        async with rig.browser() as again:
            again.session.cookie_jar.update_cookies({"auth_session": cookie})
            assert (await again.get("/app")).status == 200, "the session goes on"
        kept = await rig.gateway.stores.credentials.list("alice", "webauthn")
        assert kept == [passkey]
        async with rig.browser() as program:
            status, _, _ = await api(program.session, rig, "GET", "/overview", token)
            assert status == 200, "API tokens go on"
        async with rig.browser() as app:
            await app.password()
            assert (await app.code(code_of(rig, secret), method="totp")).status == 303
        async with rig.browser() as phone:
            await phone.sign_in("bob")
            assert (await phone.get("/app")).status == 200
        await numbers_go_on(rig)


async def numbers_go_on(rig: Rig) -> None:
    """Rows that the database numbers get numbers above the restored ones."""
    audit = rig.gateway.stores.audit_log
    before = await audit.latest()
    rig.gateway.services.audit.record("login", "somebody")
    await rig.gateway.services.audit.flush()
    assert await audit.latest() > before


def test_a_backup_is_restored_into_an_empty_place_only(tmp_path: Path) -> None:
    file = tmp_path / "backup"
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
    old, new = tmp_path / "old", tmp_path / "new"
    made = command(old, sqlite(old), "token", "add", "robot", "--scope", "admin:read")
    assert made.exit_code == 0, made.output
    assert command(old, sqlite(old), "backup", str(file)).exit_code == 0
    refused = command(old, sqlite(old), "restore", str(file))
    assert refused.exit_code == 1
    assert "api_tokens" in refused.output
    wrong = command(new, sqlite(new), "restore", str(file), passphrase="another passphrase")
    assert (wrong.exit_code, "another passphrase or key file" in wrong.output) == (1, True)
    assert not (new / "session.keys").exists()
    (new / "session.keys").write_text("mine")
    assert "is there already" in command(new, sqlite(new), "restore", str(file)).output
    assert (new / "session.keys").read_text() == "mine"
    again = command(old, sqlite(old), "backup", str(file))
    assert (again.exit_code, "can't be made" in again.output) == (1, True), "no backup is written over"


CHUNKS = [b"head", b"one" * 50, b"two", b""]


def test_a_sealed_file_gives_back_what_was_written(tmp_path: Path) -> None:
    write_sealed(tmp_path / "file", b"secret", CHUNKS)
    assert list(read_sealed(tmp_path / "file", b"secret")) == CHUNKS


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data[:-1],
        lambda data: data[: len(data) - 20],  # the last chunk, which is empty, is missing
        lambda data: data + b"\x00\x00\x00\x10" + b"x" * 16,
        lambda data: data[:60] + bytes([data[60] ^ 1]) + data[61:],
        lambda data: data[:38] + data[38 + 4 + 20 :],  # the first chunk is missing
        lambda data: data[:38] + b"\xff\xff\xff\xff" + data[42:],
        lambda data: b"something else" + data,
    ],
)
def test_a_sealed_file_that_was_changed_is_refused(tmp_path: Path, spoil: object) -> None:
    write_sealed(tmp_path / "file", b"secret", CHUNKS)
    assert callable(spoil)
    (tmp_path / "file").write_bytes(spoil((tmp_path / "file").read_bytes()))
    with pytest.raises(BackupRefused):
        list(read_sealed(tmp_path / "file", b"secret"))


def test_half_a_backup_is_not_left_behind(tmp_path: Path) -> None:
    def chunks() -> object:
        yield b"one"
        raise BackupRefused("the database went away")

    with pytest.raises(BackupRefused):
        write_sealed(tmp_path / "file", b"secret", chunks())  # type: ignore[arg-type]
    assert not (tmp_path / "file").exists()
