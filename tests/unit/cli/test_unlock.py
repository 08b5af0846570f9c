"""`user unlock`, `user show` and `limit …`, as an operator types them."""

import json
from collections.abc import Awaitable, Callable

import pytest

from gateway.cli.context import Opened
from gateway.rate_limits import CODE_FAILURES, PASSWORD_PER_IP, PASSWORD_PER_USER, Budget, RateLimits
from tests.cli_rig import add


def used_up(*budgets: tuple[Budget, str]) -> Callable[[Opened], Awaitable[None]]:
    async def work(opened: Opened) -> None:
        limits = RateLimits(opened.state.ledger, opened.spent)
        for budget, subject in budgets:
            for _ in range(budget.limit):
                await limits.spend(budget, subject)

    return work


def test_a_locked_user_is_shown_unlocked_and_told_of_in_the_audit_log(command, stored) -> None:
    add(command, "alice")
    assert json.loads(command("user", "show", "alice", "--json").output)["blocked"] == []
    stored(used_up((CODE_FAILURES, "alice"), (PASSWORD_PER_USER, "alice")))
    shown = command("user", "show", "alice").output
    assert "Second factor locked, after 100 failures; `auth-gateway user unlock alice`" in shown
    assert "Wrong passwords: 10 of 10, waits until 20" in shown
    facts = json.loads(command("user", "show", "alice", "--json").output)["blocked"]
    assert [(one["budget"], one["lock"]) for one in facts] == [
        ("failures:code", True),
        ("password-user", False),
    ]

    assert command("user", "unlock", "Alice").output.splitlines() == [
        "lifted: alice: Second factor locked (100 of 100)",
        "lifted: alice: Wrong passwords (10 of 10)",
    ]
    assert "blocked" not in command("user", "show", "alice").output
    assert command("user", "unlock", "alice").output == "there was nothing to lift\n"
    noted = [
        json.loads(line)
        for line in command("audit", "tail", "--json", "--event", "unlocked").output.splitlines()
    ]
    assert noted[0]["username"] == "alice"
    assert noted[0]["data"]["by"].startswith("cli:")
    assert noted[0]["data"]["budgets"] == ["failures:code", "password-user"]


def test_addresses_and_names_are_listed_and_lifted(command, stored) -> None:
    add(command, "alice")
    assert command("limit", "list", "--json").output == "[]\n"
    stored(
        used_up(
            (PASSWORD_PER_IP, "203.0.113.9"), (PASSWORD_PER_USER, "my-password"), (CODE_FAILURES, "alice")
        )
    )
    listed = command("limit", "list").output
    rows = [line.split("\t") for line in sorted(listed.splitlines())]
    assert [(row[0], row[2]) for row in rows] == [
        ("address", "Wrong passwords"),
        ("user", "Second factor locked"),
        ("user", "Wrong passwords"),
    ]
    assert "my-password" not in listed
    unknown = rows[2][1]
    assert unknown.startswith("unknown:")
    for name in ("203.0.113.9", unknown, "alice"):
        lifted = json.loads(command("limit", "lift", name, "--json").output)
        assert [one["name"] for one in lifted] == [name]
    assert command("limit", "list", "--json").output == "[]\n"
    events = command("audit", "tail", "--json", "--event", "unlocked").output
    assert [json.loads(line)["data"]["of"] for line in events.splitlines()] == [
        "203.0.113.9",
        unknown,
        "alice",
    ]


@pytest.mark.parametrize("arguments", [("limit", "lift", "203.0.113.9"), ("user", "unlock", "nobody")])
def test_lifting_what_is_not_there_fails_with_one_clear_line(command, arguments: tuple[str, ...]) -> None:
    result = command(*arguments)
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1
