"""The commands on the audit log and its archives, and on text messages."""

import json
from pathlib import Path

from click.testing import CliRunner

from gateway.cli import main
from gateway.cli.context import Opened
from gateway.messaging.sms.failover import DOWN
from gateway.messaging.sms.spending import start_of_day
from gateway.stores.audit_archive import AuditArchiveFolder
from gateway.stores.protocols.audit import AuditEntry
from gateway.stores.protocols.core import AuditRow
from gateway.stores.protocols.sms import SmsBlock, SmsMessage
from gateway.stores.sql.sms import SqlSmsBlocks, SqlSmsMessages
from tests.cli_rig import PASSWORD, add


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


def test_sms_status_shows_both_vendors_and_which_one_sends(config, command, stored) -> None:
    assert "  console: 0 messages, 0 delivered, 0 failed, 0.00 USD\n" in command("sms", "status").output
    config.write_text(
        config.read_text()
        + """sms:
  provider: webhook
  url: https://sms.example.com/
  backup: {preset: messagebird, secret: sec-ret, from: Harbour}
"""
    )
    assert "  messagebird: 0 messages, 0 delivered, 0 failed, 0.00 USD, stands by\n" in (
        command("sms", "status").output
    )

    async def down(opened: Opened) -> None:
        facts = {"since": 1_800_000_000.0, "code": "503", "cause": "webhook: answered 503"}
        await opened.state.ledger.put(DOWN, json.dumps(facts).encode(), 99)

    stored(down)
    shown = command("sms", "status").output
    assert "takes nothing since 2027-01-15T08:00:00+00:00: webhook: answered 503" in shown
    assert "messagebird: 0 messages, 0 delivered, 0 failed, 0.00 USD, sends now" in shown
    first, second = json.loads(command("sms", "status", "--json").output)["vendors"]
    assert (first["vendor"], first["down_since"], second["in_use"]) == ("webhook", 1_800_000_000.0, True)
    assert "sec-ret" not in shown


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
