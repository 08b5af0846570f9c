"""The commands on users, sessions, keys and the audit log, as an administrator types them."""

import json
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import bcrypt
import pytest
from click.testing import CliRunner, Result

from gateway import __version__
from gateway.authn.factors.phone_lines import SECOND_PHONE, SecondPhone
from gateway.cli import main
from gateway.cli.context import Opened, run
from gateway.messaging.sms.spending import start_of_day
from gateway.model import SessionRecord, User
from gateway.stores.audit_archive import AuditArchiveFolder
from gateway.stores.protocols.audit import AuditEntry
from gateway.stores.protocols.core import AuditRow, Credential, Device
from gateway.stores.protocols.sms import SmsBlock, SmsMessage
from gateway.stores.protocols.tokens import ApiToken
from gateway.stores.sql.sms import SqlPhoneChanges, SqlSmsBlocks, SqlSmsMessages
from gateway.stores.sql.tokens import SqlTokens

T = TypeVar("T")
PASSWORD = "correct horse battery"
CONFIG = """
storage: {{url: "sqlite:///{folder}/gateway.db"}}
session: {{keys_file: "{folder}/session.keys"}}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "config.yaml"
    file.write_text(CONFIG.format(folder=tmp_path / "var"))
    return file


@pytest.fixture
def command(config: Path) -> Callable[..., Result]:
    def invoke(*arguments: str, input: str = "") -> Result:
        result = CliRunner().invoke(main, [*arguments, "--config", str(config)], input=input)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
        return result

    return invoke


@pytest.fixture
def stored(config: Path) -> Callable[[Callable[[Opened], Awaitable[T]]], T]:
    return lambda work: run(config, work)


def add(command: Callable[..., Result], username: str, *options: str) -> Result:
    return command("user", "add", username, "--password-stdin", *options, input=f"{PASSWORD}\n")


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
    assert facts["factors"] == []
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
    assert "(disabled)" in command("user", "list").output
    command("user", "enable", "alice")
    assert stored(lambda opened: opened.directory.authenticate("alice", PASSWORD)) is not None


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


def test_what_administrators_do_is_in_the_audit_log(command) -> None:
    add(command, "alice")
    command("user", "disable", "alice")
    add(command, "bob")
    rows = [json.loads(line) for line in command("audit", "tail", "--json").output.splitlines()]
    assert [(row["event"], row["username"]) for row in rows] == [
        ("user_added", "alice"),
        ("user_disabled", "alice"),
        ("user_added", "bob"),
    ]
    assert rows[0]["data"]["by"].startswith("cli:")
    assert len(command("audit", "tail", "-n", "1").output.splitlines()) == 1
    assert "user_disabled" in command("audit", "tail", "--user", "ALICE", "--event", "user_disabled").output
    assert PASSWORD not in command("audit", "tail").output


def test_the_audit_trail_is_readable_and_never_moves_the_cursor(command, stored) -> None:
    typed = [
        AuditRow(1.0, "code_sent", "zoë", "", {"to": "+1•••143"}),
        AuditRow(2.0, "x", "a\x1b[2J\u202e", "", {}),
    ]
    stored(lambda opened: opened.audit.append(typed))
    first, second = command("audit", "tail").output.splitlines()
    assert '"zoë" - to="+1•••143"' in first
    assert "\\u001b[2J\\u202e" in second


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


def test_remembered_devices_are_listed_and_revoked(command, stored) -> None:
    ids = [letter * 64 for letter in "abc"]

    async def remember(opened: Opened) -> None:
        for id, name in zip(ids, ("alice", "alice", "bob"), strict=True):
            await opened.devices.add(Device(id, name, "Firefox", "203.0.113.1", 1.0, 1.0, 9e9))

    stored(remember)
    listed = json.loads(command("device", "list", "--user", "Alice", "--json").output)
    assert [one["id"] for one in listed] == ids[:2]
    assert command("device", "revoke", ids[0][:16]).output == "revoked 1 device\n"
    assert command("device", "revoke", ids[0][:16]).exit_code == 1
    assert command("device", "revoke", "b").exit_code == 1, "too short to mean one device"
    assert command("device", "revoke", "--user", "alice").output == "revoked 1 device\n"
    assert command("device", "revoke").exit_code == 2
    assert [line.split("\t")[1] for line in command("device", "list").output.splitlines()] == ["bob"]
    assert "device_revoked" in command("audit", "tail").output


def test_an_invitation_prints_or_mails_a_link_and_can_be_sent_again(command) -> None:
    first = command("user", "invite", "nora", "--print", "--group", "staff")
    assert first.output.startswith("http://localhost:8080/_auth/invite?token=")
    again = command("user", "invite", "nora", "--print")
    assert again.exit_code == 0
    assert again.output != first.output
    assert command("user", "invite", "otto").exit_code == 2
    mailed = command("user", "invite", "otto", "--email", "otto@example.test")
    assert "invited otto by mail" in mailed.output
    add(command, "alice")
    taken = command("user", "invite", "alice", "--print")
    assert taken.exit_code == 1
    assert "there is a user alice already" in taken.output


def test_what_a_user_prefers_is_not_shown_as_a_factor(command, stored) -> None:
    add(command, "alice")
    for kind in ("preference", "totp"):
        stored(
            lambda opened, kind=kind: opened.credentials.add(
                Credential(kind[:4], "alice", kind, kind, b"{}", 0.0)
            )
        )
    factors = json.loads(command("user", "show", "alice", "--json").output)["factors"]
    assert [one["kind"] for one in factors] == ["totp"]


def test_the_version_is_also_an_option() -> None:
    assert CliRunner().invoke(main, ["--version"]).output == f"auth-gateway {__version__}\n"


def test_sms_status_shows_money_deliveries_and_blocks_and_lifts_one(command, stored) -> None:
    assert "no range is blocked" in command("sms", "status").output
    block = SmsBlock("+49151123", 1.0, 9e9, 20, 0)

    async def work(opened: Opened) -> None:
        now = opened.clock()
        await SqlSmsBlocks(opened.engine).put(block)
        await SqlSmsMessages(opened.engine).add(
            SmsMessage(
                "m",
                "alice",
                "s",
                "+49•••••678",
                "n",
                "r",
                "DE",
                "twilio",
                "sms",
                100_000,
                "USD",
                now,
                status="delivered",
                stage=9,
            )
        )
        await opened.state.ledger.hit(f"sms-spend:sms:{int(start_of_day(now))}", 9999, 100_000)

    stored(work)
    text = command("sms", "status").output
    assert "sms: 0.10 USD of 100.00 USD today" in text
    assert "DE: 1 messages, 1 delivered, 0 failed" in text
    assert "+49151123 until" in text
    facts = json.loads(command("sms", "status", "--json").output)
    assert facts["blocked"][0]["range"] == "+49151123"
    assert facts["spend"] == [
        {"country": "DE", "channel": "sms", "currency": "USD", "messages": 1, "micros": 100_000}
    ]
    assert command("sms", "unblock", "49151123").output == "unblocked +49151123\n"
    again = command("sms", "unblock", "+49151123")
    assert (again.exit_code, "is not blocked" in again.output) == (1, True)
    assert "sms_range_unblocked" in command("audit", "tail").output


def test_an_administrator_waives_the_cool_off_of_a_number(command, stored) -> None:
    add(command, "alice", "--phone", "+4915112345678")
    changed = command("user", "set", "alice", "--phone", "+4915112345679")
    assert "--no-cool-off" in changed.output
    waived = command("user", "set", "alice", "--no-cool-off")
    assert waived.output == "changed alice\n"
    (change,) = stored(lambda opened: SqlPhoneChanges(opened.engine).of("alice", 0))
    assert change.waived
    assert "phone_cool_off_waived" in command("audit", "tail").output


def test_a_second_number_is_shown_masked_vouched_for_and_taken_away(command, stored) -> None:
    add(command, "alice", "--phone", "+4915112345678")
    stored(lambda opened: SecondPhone(opened.credentials, opened.clock).store("alice", "+4915112345679"))
    shown = command("user", "show", "alice").output
    assert "second_phone +49•••••679" in shown
    assert "15112345679" not in shown
    command("user", "set", "alice", "--no-cool-off")
    (held,) = stored(lambda opened: opened.credentials.list("alice", SECOND_PHONE))
    assert held.counter == 1
    assert command("user", "set", "alice", "--no-second-phone").output == "changed alice\n"
    assert stored(lambda opened: opened.credentials.list("alice", SECOND_PHONE)) == []
    assert "factors_reset" in command("audit", "tail").output


def test_second_factors_are_taken_away_and_sessions_end(command, stored) -> None:
    async def hold(opened: Opened) -> None:
        for kind in ("totp", "webauthn", "recovery", SECOND_PHONE, "preference"):
            await opened.credentials.add(Credential(f"{kind}-1", "alice", kind, "x", b"x", 1.0))
        await opened.sessions.put(
            SessionRecord("s", "alice", ("password",), {"password": 1.0}, 1.0, 1.0, 9e9)
        )
        await opened.devices.add(Device("d", "alice", "Firefox", "203.0.113.9", 1.0, 1.0, 9e9))

    def held() -> list[str]:
        return sorted(one.kind for one in stored(lambda opened: opened.credentials.list("alice")))

    add(command, "alice", "--phone", "+4915112345678")
    command("user", "bypass", "alice")
    stored(hold)
    own = ApiToken("t", "t", "d", (), ("*/",), (), 1.0, 9e9, owner="alice", title="backup")
    stored(lambda opened: SqlTokens(opened.engine).add(own))
    assert command("user", "reset-factors", "alice", input="n\n").exit_code == 1
    assert len(held()) == 5
    once = command("user", "reset-factors", "alice", "--only", "totp", "--yes")
    assert once.output == "took away from alice: totp\n"
    assert held() == ["preference", "recovery", SECOND_PHONE, "webauthn"]
    assert stored(lambda opened: opened.sessions.list("alice")) == []
    assert stored(lambda opened: opened.devices.list("alice")) == []
    assert stored(lambda opened: SqlTokens(opened.engine).owned("alice")) == []
    all_else = command("user", "reset-factors", "alice", "--yes")
    assert all_else.output == "took away from alice: bypass, recovery, second_phone, sms, webauthn\n"
    assert held() == ["preference"]
    assert json.loads(command("user", "show", "alice", "--json").output)["phone"] == ""
    assert "is out" in command("user", "bypass", "alice", "--revoke").stderr
    assert "none of these" in command("user", "reset-factors", "alice", "--yes").stderr
    assert "no user" in command("user", "reset-factors", "nobody", "--yes").stderr
    assert command("audit", "tail", "--json", "--event", "factors_reset").output.count("cli:") == 2


def test_a_bypass_code_is_printed_once_and_noted_without_the_code(command) -> None:
    add(command, "alice")
    code = command("user", "bypass", "alice", "--for", "1h").output.strip()
    assert len(code.replace("-", "")) == 12
    [line] = command("audit", "tail", "--json", "--event", "bypass_issued").output.splitlines()
    assert '"seconds": 3600' in line
    assert code not in line
    assert command("user", "bypass", "alice", "--revoke").output == "revoked the code of alice\n"
    assert "is out" in command("user", "bypass", "alice", "--revoke").stderr
    assert command("user", "bypass", "nobody").exit_code == 1
    assert command("user", "bypass", "alice", "--for", "2d").exit_code == 2


def test_archives_of_the_audit_log_are_read_in_order_and_no_row_twice(tmp_path: Path) -> None:
    plain, key = AuditArchiveFolder(tmp_path, None), tmp_path / "key"
    key.write_text("a secret of some length")
    rows = [
        AuditEntry(n, AuditRow(1.8e9 + n, "login", name, "", {}))
        for n, name in enumerate(("ann", "bob", "ann"))
    ]
    files = [plain.write(rows[1:]), plain.write(rows[:2]), AuditArchiveFolder(tmp_path, key).write(rows)]
    said = CliRunner().invoke(main, ["audit", "read", *map(str, files[:2])])
    assert [line.split()[2] for line in said.output.splitlines()] == ['"ann"', '"bob"', '"ann"']
    only = CliRunner().invoke(main, ["audit", "read", "--user", "Bob", "--json", *map(str, files[:2])])
    assert json.loads(only.output)["username"] == "bob"
    sealed = CliRunner().invoke(main, ["audit", "read", str(files[2])])
    assert (sealed.exit_code, "say --key-file" in sealed.output) == (1, True)
    opened = CliRunner().invoke(main, ["audit", "read", str(files[2]), "--key-file", str(key)])
    assert len(opened.output.splitlines()) == 3
    files[0].write_bytes(files[0].read_bytes()[:-9])
    assert CliRunner().invoke(main, ["audit", "read", str(files[0])]).exit_code == 1
