"""A configuration asked about recorded traffic: the log of a real gateway, read by the command and its function."""

import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from gateway.cli.replay import ReplayReport, as_text, compare, replay
from gateway.config.schema import Config, Log
from gateway.model import User
from gateway.observability.log import configure
from tests.rig import running_gateway

RULES: list[dict[str, Any]] = [{"paths": ["/open"], "require": "bypass"}, {"groups": ["staff"]}]


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    root, stream = logging.getLogger(), io.StringIO()
    handlers, level = root.handlers[:], root.level
    configure(Log(), stream)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)


async def recorded(folder: Path, log: io.StringIO) -> list[str]:
    """What a gateway logs while alice, who is of the staff, and a stranger use it."""
    routes = [{"host": "*", "path": "/", "upstream": "UPSTREAM", "rules": RULES}]
    async with running_gateway(folder, routes=routes) as rig:
        await rig.add_user("alice", groups=("staff",))
        async with rig.browser() as alice, rig.browser() as stranger:
            await alice.sign_in("alice")
            for path in ("/open/a", "/wiki?token=secret", "/wiki?token=secret"):
                assert (await alice.get(path)).status == 200
            assert (await stranger.get("/wiki")).status == 303
            assert (await stranger.get("/open/b")).status == 200
    return [line for line in log.getvalue().splitlines() if json.loads(line)["logger"] == "gateway.access"]


def config(*rules: dict[str, Any]) -> Config:
    return Config.model_validate({"routes": [{"upstream": "http://127.0.0.1:1", "rules": rules}]})


async def look_up(name: str) -> User | None:
    return User(name, groups=("staff",)) if name == "alice" else None


def kinds(outcome: ReplayReport) -> set[tuple[str, str, str, str, int]]:
    return {(one.path, one.user, one.was, one.would_be, one.count) for one in outcome.differences}


async def test_the_same_rules_say_the_same(tmp_path: Path, log: io.StringIO) -> None:
    lines = await recorded(tmp_path, log)
    outcome = await compare(config(*RULES), lines, look_up)
    assert (outcome.requests, outcome.skipped, outcome.differences) == (5, 0, [])


async def test_rules_that_ask_for_what_is_not_in_the_log_are_not_guessed(
    tmp_path: Path, log: io.StringIO
) -> None:
    lines = await recorded(tmp_path, log)
    rule = {"query": [{"token": {"present": True}}], "paths": ["/wiki"]}
    outcome = await compare(config(rule, *RULES), lines, look_up)
    assert (outcome.requests, outcome.unknown, outcome.differences) == (2, 3, [])
    assert "3 were not asked about" in as_text(outcome, 1)


async def test_other_rules_differ_where_they_should(tmp_path: Path, log: io.StringIO) -> None:
    lines = await recorded(tmp_path, log)
    stricter = await compare(config({"groups": ["staff"], "factors": ["webauthn"]}), lines, look_up)
    assert kinds(stricter) == {
        ("/wiki", "alice", "allow", "step_up", 2),
        ("/open/a", "alice", "allow", "step_up", 1),
        ("/open/b", "", "allow", "sign_in", 1),
    }
    looser = await compare(config({"require": "bypass"}), lines, look_up)
    assert kinds(looser) == {("/wiki", "", "sign_in", "allow", 1)}


async def test_somebody_who_left_would_be_nobody(tmp_path: Path, log: io.StringIO) -> None:
    lines = await recorded(tmp_path, log)

    async def gone(name: str) -> User | None:
        return None

    assert kinds(await compare(config(*RULES), lines, gone)) == {("/wiki", "alice", "allow", "sign_in", 2)}


async def test_lines_of_other_kinds_and_older_logs_do_no_harm() -> None:
    entry = {"event": "request", "ts": "2027-01-15T08:00:00.000Z", "host": "a", "path": "/", "route": "x"}
    lines = [
        "",
        "no json",
        "[]",
        '{"event": "login"}',
        json.dumps(entry),
        json.dumps({**entry, "ts": "never"}),
    ]
    outcome = await compare(config({"require": "bypass"}), lines, look_up)
    assert (outcome.requests, outcome.skipped, outcome.differences) == (0, 2, [])


def test_the_command_tells_differences_and_exits_1(tmp_path: Path) -> None:
    file, log = tmp_path / "config.yaml", tmp_path / "access.log"
    route = {"upstream": "http://127.0.0.1:1", "policy": {"require": "deny"}}
    file.write_text(
        yaml.safe_dump(
            {
                "storage": {"url": f"sqlite:///{tmp_path}/db"},
                "session": {"keys_file": f"{tmp_path}/keys"},
                "routes": [route],
            }
        )
    )
    entry = {
        "event": "request",
        "ts": "2027-01-15T08:00:00.000Z",
        "client": "192.0.2.1",
        "method": "GET",
        "host": "app.test",
        "path": "/\u001b[2J",
        "route": "*/",
        "user": "",
        "verdict": "sign_in",
        "reason": "no_session",
        "factors": {},
    }
    log.write_text(json.dumps({**entry, "path": "/wiki"}) + "\n" + json.dumps(entry) + "\n")
    result = CliRunner().invoke(replay, [str(log), "--config", str(file)])
    assert result.exit_code == 1, result.output
    assert "1 x GET app.test/wiki nobody: sign_in -> deny by */ (rule_denies)" in result.stdout
    assert "2 requests, 2 would be decided otherwise" in result.stdout
    assert "\u001b" not in result.stdout
    told = json.loads(CliRunner().invoke(replay, [str(log), "--config", str(file), "--json"]).stdout)
    assert {one["would_be"] for one in told["differences"]} == {"deny", "refused"}
