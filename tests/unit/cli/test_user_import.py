"""`auth-gateway user import`: users from htpasswd, CSV and YAML."""

import json
from pathlib import Path

import bcrypt
import pytest
from click.testing import Result

from gateway.model import User
from tests.cli_rig import PASSWORD, add

BCRYPT = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()


def imported(command, tmp_path: Path, name: str, text: str, *options: str) -> Result:
    (tmp_path / name).write_text(text)
    return command("user", "import", str(tmp_path / name), *options)


def test_htpasswd_users_keep_their_passwords(command, stored, tmp_path: Path) -> None:
    result = imported(command, tmp_path, "site.htpasswd", f"# people\n\nalice:{BCRYPT}\nBob:{BCRYPT}\n")
    assert (result.exit_code, result.output) == (0, "imported 2, 0 bad lines\n")
    assert stored(lambda opened: opened.directory.authenticate("bob", PASSWORD)) is not None


def test_every_bad_line_is_reported_and_nothing_is_imported(command, tmp_path: Path) -> None:
    add(command, "dora")
    lines = [
        f"alice:{BCRYPT}",
        "no colon",
        "bob:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=",
        f"a b:{BCRYPT}",
        f"r\u043e\u043et:{BCRYPT}",
        f"Alice:{BCRYPT}",
    ]
    result = imported(command, tmp_path, "htpasswd", "\n".join([*lines, f"dora:{BCRYPT}"]))
    assert result.exit_code == 1
    assert [line.split(":")[1] for line in result.stderr.splitlines()] == ["2", "3", "4", "5", "6", "7"]
    assert "imported 0, 6 bad lines" in result.stdout
    assert [one["username"] for one in json.loads(command("user", "list", "--json").output)] == ["dora"]


def test_skip_bad_imports_the_good_lines_and_still_fails(command, tmp_path: Path) -> None:
    result = imported(command, tmp_path, "htpasswd", f"alice:{BCRYPT}\nbob\n", "--skip-bad")
    assert result.exit_code == 1
    assert [one["username"] for one in json.loads(command("user", "list", "--json").output)] == ["alice"]


def test_a_dry_run_changes_nothing(command, tmp_path: Path) -> None:
    result = imported(command, tmp_path, "htpasswd", f"alice:{BCRYPT}\n", "--dry-run")
    assert (result.exit_code, result.output) == (0, "would import 1, 0 bad lines\n")
    assert json.loads(command("user", "list", "--json").output) == []


def test_csv_users_have_all_fields(command, stored, tmp_path: Path) -> None:
    text = (
        "Username,name,email,phone,groups,disabled,password\n"
        f'alice,"A, Alice",a@example.com,+4915112345678,staff;ops,no,{PASSWORD}\n'
        "bob,,,,,yes,\n"
    )
    assert imported(command, tmp_path, "people.csv", text).exit_code == 0
    alice = stored(lambda opened: opened.directory.authenticate("alice", PASSWORD))
    assert isinstance(alice, User)
    assert (alice.name, alice.groups, alice.phone) == ("A, Alice", ("staff", "ops"), "+4915112345678")
    assert json.loads(command("user", "show", "bob", "--json").output)["disabled"] is True


def test_csv_has_a_column_for_each_attribute(command, stored, tmp_path: Path) -> None:
    text = "username,attribute.department,Attribute.Site\nalice,ops; night watch,Kiel\nbob,,\n"
    assert imported(command, tmp_path, "people.csv", text).exit_code == 0
    alice = stored(lambda opened: opened.directory.get("alice"))
    assert alice.attributes == (("department", ("ops", "night watch")), ("site", ("Kiel",)))
    assert stored(lambda opened: opened.directory.get("bob")).attributes == ()
    refused = imported(command, tmp_path, "more.csv", "username,attribute.email\ncarl,x\n")
    assert refused.exit_code == 1
    assert "attribute.email" in refused.stderr


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("name,email\nx,y\n", 1, "must name columns"),
        ("username,shoe\nx,y\n", 1, "must name columns"),
        ("username,name\nalice,A,B\n", 2, "2 columns"),
        ("username,name\nalice\n", 2, "2 columns"),
        ("username,disabled\nalice,maybe\n", 2, "true or false"),
        ("username,password\nalice,password1\n", 2, "common"),
        (f"username,password,password_hash\nalice,{PASSWORD},{BCRYPT}\n", 2, "not both"),
    ],
)
def test_bad_csv_is_reported_by_line(command, tmp_path: Path, text: str, line: int, says: str) -> None:
    result = imported(command, tmp_path, "people.csv", text)
    assert result.exit_code == 1
    assert f"people.csv:{line}:" in result.stderr
    assert says in result.stderr


def test_yaml_users_have_all_fields(command, tmp_path: Path) -> None:
    text = f"""
users:
  - username: alice
    phone: "+4915112345678"
    groups: [staff, night watch]
    password_hash: "{BCRYPT}"
  - {{username: bob, disabled: true}}
"""
    assert imported(command, tmp_path, "people.yaml", text).exit_code == 0
    assert json.loads(command("user", "show", "alice", "--json").output)["groups"] == ["staff", "night watch"]
    assert json.loads(command("user", "show", "bob", "--json").output)["disabled"] is True


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("just text", 1, "list of users"),
        ("- username: a\n- b\n", 2, "keys like"),
        ("- username: alice\n  phone: +4915112345678\n", 1, "quotes"),
        ("- username: alice\n  colour: red\n", 1, "colour"),
        ("- username: alice\n  groups: 7\n", 1, "list of names"),
        ("- username: 'alice\n", 2, "not YAML"),
        ("- username: !!python/object/apply:os.system [id]\n", 1, "not YAML"),
        ("- username: [\n", 2, "not YAML"),
        ("", 1, "list of users"),
        ("- ? [a]\n  : b\n", 1, "not YAML"),
    ],
)
def test_bad_yaml_is_reported_by_line(command, tmp_path: Path, text: str, line: int, says: str) -> None:
    result = imported(command, tmp_path, "people.yml", text)
    assert result.exit_code == 1
    assert f"people.yml:{line}:" in result.stderr
    assert says in result.stderr


def test_an_unclear_file_wants_a_format(command, tmp_path: Path) -> None:
    assert imported(command, tmp_path, "people.txt", f"alice:{BCRYPT}\n").exit_code == 2
    assert (
        imported(command, tmp_path, "people.txt", f"alice:{BCRYPT}\n", "--format", "htpasswd").exit_code == 0
    )


def test_numbers_in_imports_and_commands_are_of_the_default_country(config, command, stored) -> None:
    config.write_text(config.read_text() + "sms: {provider: console, default_country: DE}\n")
    users = config.parent / "users.csv"
    users.write_text("username,phone\nalice,0151 12345678\nbob,0049 151 12345679\ncarl,0151 1234567890123\n")
    refused = command("user", "import", str(users))
    assert "users.csv:4: This phone number has too few or too many digits" in refused.output
    assert "imported 2" in command("user", "import", str(users), "--skip-bad").output
    command("user", "set", "bob", "--phone", "0151 12345670")
    found = [stored(lambda opened, name=name: opened.directory.get(name)).phone for name in ("alice", "bob")]
    assert found == ["+4915112345678", "+4915112345670"]


def test_who_was_imported_without_a_password_is_invited_by_name_alone(command, tmp_path: Path) -> None:
    text = "username,email,groups\nbob,bob@example.test,ops\ncarol,,\n"
    assert imported(command, tmp_path, "people.csv", text).exit_code == 0
    mailed = command("user", "invite", "bob")
    assert (mailed.exit_code, mailed.output.splitlines()[-1]) == (
        0,
        "invited bob by mail to bob@example.test",
    )
    assert "/_auth/invite" in command("user", "invite", "bob", "--print").output
    assert command("user", "invite", "bob", "--email", "other@example.test").exit_code == 1
    nowhere = command("user", "invite", "carol")
    assert (nowhere.exit_code, "--email" in nowhere.output) == (2, True)
