"""One name for one thing: events say `user`, objects that belong to an account say `username`."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from tests.admin_rig import ADMIN, API, administered
from tests.cli_rig import add
from tests.unit.cli.conftest import command, config

__all__ = ["command", "config"]


def test_events_of_the_command_say_user_as_the_log_does(command: Callable[..., Result]) -> None:
    add(command, "alice")
    [line] = command("audit", "tail", "--json").output.splitlines()
    event = json.loads(line)
    assert list(event)[:3] == ["at", "event", "user"]
    assert event["user"] == event["username"] == "alice"  # the older name, for a while


@pytest.mark.parametrize("words", [("user", "list"), ("user", "show", "alice")])
def test_accounts_of_the_command_say_username(command: Callable[..., Result], words: tuple[str, ...]) -> None:
    add(command, "alice")
    said = json.loads(command(*words, "--json").output)
    account = said[0] if isinstance(said, list) else said
    assert account["username"] == "alice"
    assert "user" not in account


async def test_console_and_api_say_the_same(tmp_path: Path) -> None:
    async with administered(tmp_path) as (rig, browser):
        await rig.gateway.services.audit.flush()
        export = await (await browser.get(f"{ADMIN}/audit/export?format=ndjson", Accept="*/*")).text()
        event = json.loads(export.splitlines()[0])
        assert event["user"] == event["username"] == "alice"
        items = (await (await browser.get(f"{API}/audit", Accept="*/*")).json())["items"]
        assert items[0]["user"] == "alice"
        for path in ("/users", "/sessions"):
            item = (await (await browser.get(f"{API}{path}", Accept="*/*")).json())["items"][0]
            assert item["username"] == "alice"
            assert "user" not in item
