"""Where certificate and keys are kept: in a file that only we may read, and sealed in the database; in no log."""

import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import StoreUnavailable
from tests.acme_rig import FakeAuthority

Make = Callable[..., Any]


async def test_a_start_without_database_and_authority_serves_what_was_got_last(
    make: Make, authority: FakeAuthority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replica = await make()
    await replica.renewer.look()

    async def away(what: str) -> bytes:
        raise StoreUnavailable("the database is away")

    again = await make()
    monkeypatch.setattr(again.records._raw, "get", away)
    again.served.bundle = None
    await again.served.begin(again.context)
    assert again.served.bundle == replica.served.bundle


async def test_a_key_in_a_file_that_others_may_read_is_never_served(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    replica = await make()
    await replica.renewer.look()
    file = replica.cache.file
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    for mode in (0o604, 0o640, 0o620, 0o602):
        file.chmod(mode)
        assert replica.cache.read() is None
        assert "others may read the key" in caplog.text
        caplog.clear()
    replica.cache.write(replica.served.bundle)  # replaced, not loosened
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert replica.cache.read() == replica.served.bundle


async def test_no_key_is_in_a_log_an_event_or_a_representation(
    make: Make, authority: FakeAuthority, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level("DEBUG")
    replica = await make()
    await replica.renewer.look()
    account = await replica.records.account()
    secrets = [replica.served.bundle.key, account[0]]
    database = b"".join(file.read_bytes() for file in tmp_path.glob("gateway.db*"))
    shown = caplog.text + repr(replica.audit.events) + repr(replica.served.bundle)
    for secret in secrets:
        middle = secret.splitlines()[1][10:50]
        assert middle not in shown
        assert middle.encode() not in database  # sealed there


async def test_what_another_key_ring_has_sealed_is_made_anew(
    make: Make, authority: FakeAuthority, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    replica = await make()
    await replica.renewer.look()
    (tmp_path / "session.keys").unlink()
    (tmp_path / "acme" / "b").mkdir(parents=True)
    other = await make("b")
    assert other.served.bundle is None
    assert "sealed with another key ring" in caplog.text
    await other.renewer.look()
    assert other.served.bundle is not None
