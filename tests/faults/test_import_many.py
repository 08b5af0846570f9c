"""Many users are imported while others sign in: nobody waits for the whole import."""

import sqlite3
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from gateway.cli import main
from gateway.cli.user.bulk_import import BATCH
from gateway.directory.database import DatabaseDirectory
from gateway.model import User

HASH = "$2y$05$abcdefghijklmnopqrstuuE0RuKGxGUjBVXyVxHVPGyrIRFFbE7yS"


def test_others_may_write_after_each_few_hundred_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = {
        "session": {"keys_file": str(tmp_path / "session.keys")},
        "storage": {"url": f"sqlite:///{tmp_path}/gateway.db"},
        "routes": [],
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    count = 2 * BATCH + 50
    lines = ["username,password_hash,groups", *(f"user{n},{HASH},staff;team" for n in range(count))]
    (tmp_path / "users.csv").write_text("\n".join(lines))
    seen: list[int] = []
    add_all = DatabaseDirectory.add_all

    async def watched(self: DatabaseDirectory, prepared: Sequence[User]) -> None:
        await add_all(self, prepared)
        other = sqlite3.connect(tmp_path / "gateway.db", timeout=0, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")  # raises at once if the import held the lock
        seen.append(other.execute("SELECT count(*) FROM users").fetchone()[0])
        other.execute("COMMIT")
        other.close()

    monkeypatch.setattr(DatabaseDirectory, "add_all", watched)
    words = ["user", "import", str(tmp_path / "users.csv"), "--config", str(tmp_path / "config.yaml")]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0, result.output
    assert seen == [BATCH, 2 * BATCH, count]
    listed = CliRunner().invoke(main, ["user", "show", "user449", "--config", str(tmp_path / "config.yaml")])
    assert "staff" in listed.output
