"""Whose number is changed hears of it at the old one, however many other users are changed in the same moment."""

from dataclasses import replace
from pathlib import Path

import pytest

from gateway.messaging import notices
from gateway.model import User
from tests.rig import running_gateway
from tests.waiting import until

MANY = 300


async def test_a_flood_of_changed_users_drops_no_notice_and_is_looked_into_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Such as an import. Who changes a number and wants nobody to hear of it could start one."""
    monkeypatch.setattr(notices, "_AT_ONCE", 20)
    async with running_gateway(tmp_path) as rig:
        alice = await rig.add_user()
        users = [await rig.directory.prepared(User(f"user{number}")) for number in range(MANY)]
        await rig.directory.add_all(users)
        await rig.directory.replace(replace(alice, phone="+4915112345679"))
        await rig.directory.add_all([await rig.directory.prepared(User("last"))])
        background = rig.gateway.services.messaging.notices
        most = 0

        def told() -> bool:
            nonlocal most
            most = max(most, len(background._running))
            return "was changed to" in rig.terminal.getvalue() or "is dropped" in caplog.text

        await until(told, "the old number hears of it")
        assert "was changed to" in rig.terminal.getvalue()
        assert "is dropped" not in caplog.text
        assert most < 10
