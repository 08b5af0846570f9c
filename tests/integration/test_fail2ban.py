"""deploy/fail2ban with the real fail2ban: over a real log it names who failed, and nobody whom a visitor made up."""

import logging
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.config.schema import Log
from gateway.observability.log import configure
from tests.rig import PASSWORD, Browser, running_gateway
from tests.services import missing

FOLDER = Path(__file__).resolve().parents[2] / "deploy" / "fail2ban"
FILTER = FOLDER / "filter.d" / "auth-gateway.conf"
INNOCENT = "198.51.100.1"
FORGED = (
    '{"ts": "2026-11-25T04:17:23.875Z", "level": "info", "logger": "gateway.audit", "at": 1.0, '
    f'"event": "password_failed", "user": "", "ip": "{INNOCENT}"}}'
)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Path]:
    """What the gateway writes to standard output, in a file."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    with (tmp_path / "gateway.log").open("w", encoding="utf-8") as file:
        configure(Log(), file)
        yield tmp_path / "gateway.log"
        root.handlers[:] = handlers
        root.setLevel(level)


def program(name: str) -> str:
    return shutil.which(name) or missing(f"{name} is not installed")


def found(log: str | Path, mode: str = "normal") -> list[str]:
    """The addresses that fail2ban counts, in the order of the lines."""
    command = [program("fail2ban-regex"), "-o", "<ip>", str(log), f"{FILTER}[mode={mode}]"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.split()


async def sign_in_from(browser: Browser, ip: str, username: str, password: str) -> int:
    form = {"username": username, "password": password, "csrf_token": await browser.token("/_auth/login")}
    return (await browser.post("/_auth/login", form, **{"X-Forwarded-For": ip})).status


async def test_the_filter_finds_who_failed_in_a_real_log_and_nobody_else(tmp_path: Path, log: Path) -> None:
    trusted = {"trusted_proxies": ["127.0.0.0/8"]}
    routes = [{"host": "*", "path": "/", "upstream": "UPSTREAM", "tokens": True}]
    async with running_gateway(tmp_path, server=trusted, routes=routes) as rig, rig.browser() as browser:
        await rig.add_user("alice")
        await rig.add_user("o'neil--user")
        assert await sign_in_from(browser, "203.0.113.1", "alice", "wrong") == 401
        assert await sign_in_from(browser, "2001:db8::2", FORGED, "wrong") == 401
        assert await sign_in_from(browser, "203.0.113.3", "o'neil--user", FORGED) == 401
        await browser.get(
            "/", Authorization='Bearer agt_", "ip": "198.51.100.1"_x', **{"X-Forwarded-For": "203.0.113.4"}
        )
        await browser.get(
            f"/{FORGED}", **{"X-Forwarded-For": INNOCENT, "User-Agent": FORGED, "Accept": "*/*"}
        )
        assert await sign_in_from(browser, INNOCENT, "alice", PASSWORD) == 303
        token = await browser.token("/_auth/verify")
        wrong = {"code": "000000" if rig.codes[-1] != "000000" else "111111", "csrf_token": token}
        assert (
            await browser.post("/_auth/verify", wrong, **{"X-Forwarded-For": "203.0.113.5"})
        ).status == 401
    assert found(log) == ["203.0.113.1", "2001:db8::2", "203.0.113.3", "203.0.113.4", "203.0.113.5"]
    assert INNOCENT in log.read_text()


LINE = (
    '{"ts": "2026-11-25T04:17:23.875Z", "level": "info", "logger": "gateway.audit", "at": 1795580243.875, '
    '"event": "password_failed", "user": "alice", "ip": "203.0.113.7", "door": "login"}'
)


def test_the_journals_lines_are_read_too_but_not_what_stands_inside_others() -> None:
    assert found(f"host auth-gateway[12]: {LINE}") == ["203.0.113.7"]
    assert found(f'host other[12]: message "{LINE}"') == []
    assert found(LINE.replace("password_failed", "password_ok")) == []
    assert found(LINE.replace("password_failed", "jwt_refused")) == ["203.0.113.7"]
    assert found(LINE.replace("password_failed", "jwt_used")) == []


def test_unreadable_requests_count_in_aggressive_mode_alone() -> None:
    line = (
        '{"ts": "2026-11-25T04:20:02.118Z", "level": "info", "logger": "gateway.connection", '
        '"event": "bad_request", "client": "203.0.113.7", "status": 400, "cause": "Invalid header"}'
    )
    assert found(line) == []
    assert found(line, "aggressive") == ["203.0.113.7"]
    assert found(line.replace("400", "408"), "aggressive") == []


def test_fail2ban_takes_the_jail(tmp_path: Path) -> None:
    client, folder = program("fail2ban-client"), tmp_path / "fail2ban"
    shutil.copytree("/etc/fail2ban", folder, ignore=lambda path, _: ["defaults-debian.conf"])
    shutil.copytree(FOLDER, folder, dirs_exist_ok=True)
    dump = subprocess.run([client, "-c", str(folder), "-d"], capture_output=True, text=True, timeout=60)
    assert dump.returncode == 0, dump.stderr
    assert "['add', 'auth-gateway', 'systemd']" in dump.stdout
    assert "['start', 'auth-gateway']" in dump.stdout
    assert "_SYSTEMD_UNIT=auth-gateway.service" in dump.stdout
