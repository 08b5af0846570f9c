"""The commands on users, sessions and keys, as an administrator types them."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway import __version__
from gateway.cli import main
from gateway.cli.context import Opened
from gateway.model import SessionRecord
from gateway.stores.protocols.core import Credential
from tests.cli_rig import PASSWORD, add


def test_an_added_user_can_sign_in_and_is_shown_without_the_hash(command, stored) -> None:
    options = ("--phone", "+49 151 12345678", "--group", "staff", "--group", "ops", "--name", "Alice")
    assert add(command, "Alice", *options).output == "added alice\n"
    assert stored(lambda opened: opened.directory.authenticate("alice", PASSWORD)) is not None
    shown = command("user", "show", "alice", "--json")
    facts = json.loads(shown.output)
    assert facts["phone"] == "+4915112345678"
    assert facts["groups"] == ["staff", "ops"]
    assert facts["has_password"] is True
    assert "argon2" not in shown.output
    assert facts["factors"] == [{"kind": "sms", "name": "+4915112345678"}]
    assert re.search(
        r"^password changed at +20\d\d-\d\d-\d\dT", command("user", "show", "alice").output, re.M
    )


@pytest.mark.parametrize(
    ("options", "password", "says"),
    [
        (("alice",), "password1", "common"),
        (("alice",), "short", "at least 8"),
        (("al ice",), PASSWORD, "not allowed"),
        (("alice", "--phone", "0151 1234"), PASSWORD, "country code"),
        (("alice", "--group", "a,b"), PASSWORD, "commas"),
    ],
)
def test_what_can_not_be_added_fails_with_one_clear_line(command, options, password, says) -> None:
    result = command("user", "add", "--password-stdin", *options, input=password + "\n")
    assert result.exit_code == 1
    assert says in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert json.loads(command("user", "list", "--json").output) == []


def test_adding_twice_fails(command) -> None:
    add(command, "alice")
    result = add(command, "ALICE")
    assert result.exit_code == 1
    assert "already" in result.stderr


def test_without_a_terminal_the_password_must_come_from_stdin(command) -> None:
    result = command("user", "add", "alice")
    assert result.exit_code == 2
    assert "--password-stdin" in result.stderr


def test_set_changes_only_what_is_named(command) -> None:
    add(command, "alice", "--email", "a@example.com", "--group", "staff")
    assert command("user", "set", "alice", "--name", "Alice A.", "--group", "ops").exit_code == 0
    facts = json.loads(command("user", "show", "alice", "--json").output)
    assert (facts["name"], facts["email"], facts["groups"]) == ("Alice A.", "a@example.com", ["ops"])
    command("user", "set", "alice", "--no-groups")
    assert json.loads(command("user", "show", "alice", "--json").output)["groups"] == []
    assert command("user", "set", "alice").exit_code == 2
    assert command("user", "set", "nobody", "--name", "x").exit_code == 1


def test_attributes_are_set_by_name_shown_and_taken_away(command) -> None:
    add(command, "alice", "--attribute", "department=ops", "--attribute", "site=berlin")
    more = ("--attribute", "department=dev", "--attribute", "department=qa", "--attribute", "desk=4=b")
    assert command("user", "set", "alice", *more).exit_code == 0
    facts = json.loads(command("user", "show", "alice", "--json").output)
    assert facts["attributes"] == {"department": ["dev", "qa"], "desk": ["4=b"], "site": ["berlin"]}
    assert "department=dev|qa, desk=4=b, site=berlin" in command("user", "show", "alice").output
    assert command("user", "set", "alice", "--attribute", "site=").exit_code == 0
    assert "berlin" not in command("user", "show", "alice").output
    assert command("user", "set", "alice", "--attribute", "site").exit_code == 2
    assert command("user", "set", "alice", "--attribute", "groups=admins").exit_code == 1


def test_a_new_password_ends_the_sessions(command, stored) -> None:
    add(command, "alice")
    stored(lambda opened: opened.sessions.put(session("a1", "alice")))
    assert command("user", "set", "alice", "--password-stdin", input="staple walnut orbit\n").exit_code == 0
    assert stored(lambda opened: opened.directory.authenticate("alice", PASSWORD)) is None
    assert stored(lambda opened: opened.directory.authenticate("alice", "staple walnut orbit")) is not None
    assert stored(lambda opened: opened.sessions.list()) == []


def test_disable_and_enable(command, stored) -> None:
    add(command, "alice")
    command("user", "disable", "alice")
    assert stored(lambda opened: opened.directory.authenticate("alice", PASSWORD)) is None
    assert command("user", "list").output.splitlines()[1].endswith("disabled")
    command("user", "enable", "alice")
    assert stored(lambda opened: opened.directory.authenticate("alice", PASSWORD)) is not None


def test_the_list_has_headings_and_columns_that_line_up(command) -> None:
    add(command, "alice", "--name", "Alice 山田", "--group", "ops", "--group", "admins")
    command("user", "add", "bo", "--no-password", "--name", "Bo")
    head, alice, bo = command("user", "list").output.splitlines()
    assert head.split("  ")[0] == "USERNAME"
    assert head.index("GROUPS") - alice.index("ops,admins") == 2  # two letters that take two columns each
    assert bo.endswith("no password")
    assert bo.index("Bo") == head.index("NAME", 8)


def test_the_list_is_filtered_by_group_and_state(command) -> None:
    add(command, "alice", "--group", "ops")
    add(command, "bob", "--group", "opsy")
    command("user", "disable", "bob")

    def names(*options: str) -> list[str]:
        return [one["username"] for one in json.loads(command("user", "list", "--json", *options).output)]

    assert names("--group", "ops") == ["alice"]
    assert (names("--disabled"), names("--enabled"), names()) == (["bob"], ["alice"], ["alice", "bob"])


def test_groups_come_and_go_one_by_one_and_each_change_is_audited_once(command, stored) -> None:
    add(command, "alice", "--group", "ops")
    assert (
        command("user", "add-group", "alice", "admins", "ops", "admins").output
        == "changed alice: ops, admins\n"
    )
    assert command("user", "add-group", "alice", "ops").output == "unchanged alice: ops, admins\n"
    assert command("user", "remove-group", "alice", "ops", "other").output == "changed alice: admins\n"
    assert command("user", "remove-group", "alice", "admins").output == "changed alice: no groups\n"
    assert command("user", "add-group", "nobody", "ops").exit_code == 1
    rows = stored(lambda opened: opened.audit.tail(9, event="user_changed"))
    assert [row.data["fields"] for row in rows] == [["groups"]] * 3


def test_delete_asks_first(command) -> None:
    add(command, "alice")
    assert command("user", "delete", "alice", input="n\n").exit_code == 1
    assert json.loads(command("user", "list", "--json").output)
    assert command("user", "delete", "alice", "--yes").output == "deleted alice\n"
    assert json.loads(command("user", "list", "--json").output) == []
    assert command("user", "delete", "alice", "--yes").exit_code == 1


def test_nobody_is_asked_to_confirm_what_can_not_be_done(command) -> None:
    result = command("user", "delete", "bob")
    assert (result.exit_code, result.output) == (1, "auth-gateway: there is no user bob\n")


def test_a_typing_mistake_is_told_from_the_command_that_was_meant() -> None:
    assert "Did you mean 'session'?" in CliRunner().invoke(main, ["sesion"]).stderr
    assert "Did you mean" not in CliRunner().invoke(main, ["frobnicate"]).stderr


@pytest.mark.parametrize("name", ["user", "session", "token", "device", "access"])
def test_an_empty_list_says_so_beside_the_output(command, name: str) -> None:
    result = command(name, "list")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr.startswith("no ")
    assert json.loads(command(name, "list", "--json").stdout) == []


def test_an_export_that_fails_names_the_file(command, config: Path) -> None:
    result = command("export", "nginx")
    assert result.exit_code == 2
    assert f"{config}: server.trusted_proxies: is empty" in result.stderr


def test_a_missing_or_wrong_configuration_is_exit_code_2(tmp_path: Path) -> None:
    missing = CliRunner().invoke(main, ["user", "list", "--config", str(tmp_path / "none.yaml")])
    assert missing.exit_code == 2
    assert "none.yaml" in missing.stderr
    (tmp_path / "config.yaml").write_text("storage: {url: 'mysql://h/db'}\n")
    wrong = CliRunner().invoke(main, ["user", "list", "--config", str(tmp_path / "config.yaml")])
    assert wrong.exit_code == 2
    assert "storage.url" in wrong.stderr


def test_an_unreachable_database_is_one_line_and_exit_code_1(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("storage: {url: 'postgresql://u:sesame@127.0.0.1:1/db'}\n")
    result = CliRunner().invoke(main, ["user", "list", "--config", str(tmp_path / "config.yaml")])
    assert result.exit_code == 1
    assert "the database does not answer" in result.stderr
    assert "sesame" not in result.stderr


def session(sid: str, username: str) -> SessionRecord:
    return SessionRecord(
        sid, username, ("pwd", "sms"), {"pwd": 1.0, "sms": 2.0}, 1.0, 2.0, 9e9, ip="192.0.2.1"
    )


@pytest.fixture
def three_sessions(stored) -> None:
    async def put(opened: Opened) -> None:
        for sid, username in (("a1", "alice"), ("a2", "alice"), ("b1", "bob")):
            await opened.sessions.put(session(sid, username))

    stored(put)


@pytest.mark.usefixtures("three_sessions")
def test_sessions_are_listed_and_revoked_one_by_one_by_user_or_all(command) -> None:
    def sids(*options: str) -> list[str]:
        return [one["sid"] for one in json.loads(command("session", "list", "--json", *options).output)]

    assert sids() == ["a1", "a2", "b1"]
    assert sids("--user", "Bob") == ["b1"]
    assert "pwd+sms" in command("session", "list").output
    assert command("session", "revoke", "a1").output == "revoked 1 session\n"
    assert command("session", "revoke", "a1").exit_code == 1
    assert command("session", "revoke", "--user", "Alice").output == "revoked 1 session\n"
    assert sids() == ["b1"]
    assert command("session", "revoke", "--all").output == "revoked 1 session\n"
    assert sids() == []


@pytest.mark.parametrize("options", [(), ("a1", "--all"), ("--user", "x", "--all")])
def test_revoke_wants_exactly_one_choice(command, options) -> None:
    assert command("session", "revoke", *options).exit_code == 2


def test_rotating_keys_keeps_enrolled_factors_readable(command, stored) -> None:
    stored(lambda opened: opened.credentials.add(Credential("t1", "alice", "totp", "Phone", b"secret", 1.0)))
    for _ in range(4):
        result = command("key", "rotate", "--keep", "2")
        assert result.exit_code == 0, result.stderr
    found = stored(lambda opened: opened.credentials.get("t1"))
    assert found is not None
    assert found.secret == b"secret"
    assert command("key", "rotate", "--keep", "1").exit_code == 2


def test_the_version_is_also_an_option() -> None:
    assert CliRunner().invoke(main, ["--version"]).output == f"auth-gateway {__version__}\n"
