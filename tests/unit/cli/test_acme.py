"""`auth-gateway acme`: what is known of the certificate, and asking for another one."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from click.testing import Result

from gateway.cli.acme import _records
from gateway.cli.context import Opened
from gateway.server.tls.acme.authority import OrderFailed
from tests.acme_rig import HOST, FakeAuthority, Replica, acme_section
from tests.rig import FakeClock

Command = Callable[..., Result]


@pytest.fixture
def with_acme(config: Path) -> Path:
    settings = yaml.safe_load(config.read_text())
    acme = {"email": "ops@example.test", "agree_to_terms": True, "hosts": [HOST]}
    acme |= {"directory": "https://authority.test/directory", "cache": str(config.parent / "acme")}
    settings["server"] = {"listen": [":80", ":443"], "public_url": f"https://{HOST}", "tls": {"acme": acme}}
    config.write_text(yaml.safe_dump(settings))
    return config


def test_where_no_certificate_is_got_that_is_said(command: Command) -> None:
    result = command("acme", "status")
    assert result.exit_code == 1
    assert "server.tls.acme" in result.output


def test_before_the_first_order_it_says_that_there_is_none(with_acme: Path, command: Command) -> None:
    facts = json.loads(command("acme", "status", "--json").output)
    assert (facts["hosts"], facts["certificate"], facts["account"]) == ([HOST], "", "")
    assert "-" in command("acme", "status").output


def test_it_tells_of_certificate_failure_and_what_was_asked_for(with_acme: Path, command: Command) -> None:
    clock = FakeClock(1_796_000_000.0)
    authority = FakeAuthority(clock)

    async def work() -> str:
        replica = Replica(
            with_acme.parent / "var", "", acme_section(with_acme.parent), authority=authority, clock=clock
        )
        await replica.start()
        await replica.renewer.look()
        await replica.renewer.look()
        clock.advance(61 * 86400)
        authority.failing = OrderFailed("rateLimited", "too many of them", 3600.0)
        await replica.renewer.look()
        await replica.close()
        assert replica.served.bundle is not None
        return replica.served.bundle.serial

    serial = asyncio.run(work())
    result = command("acme", "status")
    facts = json.loads(command("acme", "status", "--json").output)
    assert (facts["certificate"], facts["names"], facts["failures"]) == (serial, [HOST], "1")
    assert facts["cause"] == "too many of them"
    assert "too many of them" in result.output
    assert "PRIVATE" not in result.output + json.dumps(facts)
    assert "wanted" not in facts
    assert command("acme", "renew").exit_code == 0


def test_asking_for_one_is_noted_and_audited(
    with_acme: Path, command: Command, stored: Callable[..., object]
) -> None:
    assert command("acme", "renew").exit_code == 0
    assert "wanted" in json.loads(command("acme", "status", "--json").output)

    async def work(opened: Opened) -> tuple[float, list[str]]:
        rows = await opened.audit.tail(5)
        return await _records(opened).wanted_at(), [row.event for row in rows]

    wanted_at, events = stored(work)  # type: ignore[misc]
    assert wanted_at > 0
    assert "certificate_wanted" in events
