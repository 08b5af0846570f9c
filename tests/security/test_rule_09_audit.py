"""Rule 9: everything that matters is on record, and no secret, code or whole number is."""

import base64
import io
import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest

from gateway.config.schema import Log
from gateway.observability import log as gateway_log
from gateway.observability.audit import Audit
from gateway.stores.sql.audit_log import SqlAuditLog
from gateway.stores.sql.engine import open_engine
from tests.rig import PASSWORD, PHONE, running_gateway
from tests.security.raw import exchange, status_of
from tests.waiting import until


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """All that is logged meanwhile."""
    root, stream = logging.getLogger(), io.StringIO()
    handlers, level = root.handlers[:], root.level
    gateway_log.configure(Log(level="debug"), stream)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.mark.parametrize(("data", "level"), [({}, "INFO"), ({"mend": "check email.host"}, "WARNING")])
async def test_what_an_operator_can_mend_is_seen_at_the_level_of_warnings(
    data: dict[str, str], level: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'a.db'}")
    with caplog.at_level(logging.INFO, "gateway.audit"):
        Audit(SqlAuditLog(engine), lambda: 1.0).record("send_failed", "alice", **data)
    await engine.dispose()
    assert [record.levelname for record in caplog.records] == [level]


UNREADABLE = {
    "cookie": b"GET / HTTP/1.1\r\nHost: a\r\nCookie: auth_session=hidden\x01\r\n\r\n",
    "long cookie": b"GET / HTTP/1.1\r\nHost: a\r\nCookie: hidden" + b"x" * 40_000 + b"\r\n\r\n",
    "query": b"GET /?token=hidden\x01 HTTP/1.1\r\nHost: a\r\n\r\n",
    "header": b"GET / HTTP/1.1\r\nHost: a\r\nhidden(: x\r\n\r\n",
    "method": b"hidden / HTTP/1.1\r\nHost: a\r\n\r\n",
    "target": b"GET hidden?token=hidden HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    "chunk": b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nhidden\r\nx\r\n0\r\n\r\n",
    "later chunk": b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\nhidden\r\n",
}


@pytest.mark.parametrize("name", UNREADABLE)
async def test_requests_that_cannot_be_read_leave_their_cause_and_address_but_none_of_their_bytes(
    tmp_path: Path, name: str, lines: io.StringIO
) -> None:
    routes = [{"host": "*", "path": "/", "upstream": "UPSTREAM", "policy": {"require": "bypass"}}]
    async with running_gateway(tmp_path, routes=routes) as rig:
        assert 400 <= status_of(await exchange(rig.port, UNREADABLE[name])) < 500
    assert "hidden" not in lines.getvalue()
    entry = next(e for line in lines.getvalue().splitlines() if (e := json.loads(line)).get("status"))
    assert entry["client"] == "127.0.0.1"
    assert len(entry.get("cause") or entry["reason"]) > 10


async def test_no_bytes_of_a_client_keep_a_line_or_a_row_from_being_written(tmp_path: Path) -> None:
    before, written = logging.getLogger().handlers[:], io.BytesIO()
    terminal = io.TextIOWrapper(written, encoding="ascii", write_through=True)
    gateway_log.configure(Log(), terminal)
    try:
        async with running_gateway(tmp_path, routes=[{"upstream": "UPSTREAM", "tokens": True}]) as rig:
            await rig.add_user()
            for agent in (b"odd\xff", "odd\xe9".encode()):
                odd = b"Connection: close\r\nUser-Agent: %b\r\nAuthorization: Bearer agt_%b_x" % (
                    agent,
                    agent,
                )
                answer = await exchange(rig.port, b"GET /x HTTP/1.1\r\nHost: a\r\n%b\r\n\r\n" % odd)
                assert status_of(answer) == 401
            async with rig.browser() as browser:
                form = {"username": "alice", "password": PASSWORD, "rd": "/"}
                form["csrf_token"] = await browser.token("/_auth/login")
                body = urlencode(form).encode()
                head = (
                    b"POST /_auth/login HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUser-Agent: odd\xff\r\n"
                    b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n"
                    b"Cookie: auth_session=%b\r\nConnection: close\r\n\r\n"
                ) % (rig.port, len(body), browser.cookie().encode())
                assert status_of(await exchange(rig.port, head + body)) == 303
    finally:
        logging.getLogger().handlers[:] = before
    lines = [json.loads(line) for line in written.getvalue().splitlines()]
    assert [line["agent"][:3] for line in lines if line.get("path") == "/x"] == ["odd", "odd"]
    assert [line["event"] for line in lines].count("token_failed") == 2
    assert "password_ok" in [line["event"] for line in lines]


async def test_sign_in_and_out_are_on_record_without_secrets(tmp_path: Path, lines: io.StringIO) -> None:
    async with running_gateway(tmp_path) as rig, rig.browser() as browser:
        await rig.add_user()
        await browser.password(password="a wrong password")
        await browser.password()
        await browser.get("/_auth/verify?rd=/secret%3Ftoken=hidden")
        code = rig.codes[-1]
        await browser.code("000000" if code != "000000" else "111111")
        await browser.code(code)
        await browser.get("/?token=hidden")
        cookie = browser.cookie()
        await browser.post("/_auth/logout", {"csrf_token": await browser.token("/_auth/logout")})
        await rig.gateway.services.audit.flush()
        engine = open_engine(rig.config.storage.url)
        rows = await SqlAuditLog(engine).tail(50)
        await engine.dispose()
    logged_text = lines.getvalue()
    events = ["password_failed", "password_ok", "code_sent", "code_failed", "login", "logout"]
    assert [row.event for row in rows] == events
    logged = [
        entry["event"]
        for line in logged_text.splitlines()
        if (entry := json.loads(line))["logger"] == "gateway.audit"
    ]
    assert logged == events
    for secret in (PASSWORD, "a wrong password", code, PHONE, cookie, "hidden"):
        assert secret not in logged_text, secret
        assert secret not in repr(rows), secret


async def test_a_password_in_the_field_of_the_name_is_never_written_down(
    tmp_path: Path, lines: io.StringIO
) -> None:
    routes = [{"upstream": "UPSTREAM", "basic": True, "policy": {"require": "one_factor"}}]
    async with running_gateway(tmp_path, routes=routes) as rig, rig.browser() as browser:
        await rig.add_user()
        for typed in (PASSWORD, f" {PASSWORD.upper()}", "alice", "ALICE", "another secret"):
            assert (await browser.password(typed, "x")).status == 401
        basic = base64.b64encode(f"{PASSWORD}:x".encode()).decode()
        assert (await browser.get("/", Authorization=f"Basic {basic}")).status == 401
        token = await browser.token("/_auth/reset")
        assert (await browser.post("/_auth/reset", {"username": PASSWORD, "csrf_token": token})).status < 400
        await until(lambda: "reset_asked" in lines.getvalue())
        await rig.gateway.services.audit.flush()
        rows = await rig.gateway.stores.audit_log.tail(50)
    assert not re.search(f"{PASSWORD}|another secret", lines.getvalue() + repr(rows), re.I)
    names = [row.username for row in rows]
    mistyped, again, known, same, other, at_basic, at_reset = names
    assert known == same == "alice"
    assert mistyped == again == at_basic == at_reset
    assert re.fullmatch(r"unknown:[0-9a-f]{8}", mistyped)
    assert other.startswith("unknown:")
    assert other != mistyped
