"""The commands on what a user proves and where: factors, numbers, devices, bypass codes, invitations."""

import json

from gateway.authn.factors.phone_lines import SECOND_PHONE, SecondPhone
from gateway.cli.context import Opened
from gateway.model import SessionRecord
from gateway.stores.protocols.core import Credential, Device
from gateway.stores.protocols.tokens import ApiToken
from gateway.stores.sql.sms import SqlPhoneChanges
from gateway.stores.sql.tokens import SqlTokens
from tests.cli_rig import add


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
