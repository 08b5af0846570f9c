"""Numbers without country code, wherever users come from, are of `sms.default_country`."""

from pathlib import Path

import pytest

from gateway.config.schema import Config, PasswordRules
from gateway.directory import yaml_users
from gateway.directory.build import build_directory
from gateway.directory.password_hashing import PasswordHashing
from gateway.errors import ConfigError, InvalidUser
from gateway.model import User
from gateway.stores.sql.engine import open_engine
from tests.rig import FakeClock

NUMBER = "+4915112345678"
FILE = "users: {alice: {phone: 0151 / 12345678}, bob: {phone: 0049 151 12345678}}"


def config(folder: Path, country: str, **sections: object) -> Config:
    return Config.model_validate(
        {
            "server": {"public_url": "http://localhost:8080"},
            "sms": {"provider": "console", "default_country": country},
            "routes": [],
            **sections,
        }
    )


async def test_in_the_file_of_users_here_or_read_by_another_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "users.yaml"
    file.write_text(FILE)
    section = {"kind": "file", "path": str(file)}
    engine = open_engine(f"sqlite:///{tmp_path}/gateway.db")
    passwords = PasswordHashing(PasswordRules())
    with pytest.raises(ConfigError, match=r"sms\.default_country"):
        build_directory(config(tmp_path, "", directory=section), engine, passwords, FakeClock())
    for size in (yaml_users.SMALL, 0):
        monkeypatch.setattr(yaml_users, "SMALL", size)
        built = build_directory(config(tmp_path, "DE", directory=section), engine, passwords, FakeClock())
        users = [await built.directory.get(name) for name in ("alice", "bob")]
        assert [user.phone for user in users if user] == [NUMBER, NUMBER]
    await engine.dispose()


async def test_in_our_own_database_by_whatever_form_or_command(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path}/gateway.db")
    passwords = PasswordHashing(PasswordRules())
    directory = build_directory(config(tmp_path, "DE"), engine, passwords, FakeClock()).writable
    assert directory is not None
    assert (await directory.prepared(User("alice", phone="0151 12345678"))).phone == NUMBER
    abroad = build_directory(config(tmp_path, ""), engine, passwords, FakeClock()).writable
    assert abroad is not None
    with pytest.raises(InvalidUser) as refused:
        await abroad.prepared(User("alice", phone="0151 12345678"))
    assert "country code" in str(refused.value.public)
    await engine.dispose()
