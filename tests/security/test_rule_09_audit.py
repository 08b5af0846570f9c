"""Rule 9: everything that matters is on record, and no secret, code or whole number is."""

import asyncio
import io
import json
import logging
from pathlib import Path

from gateway import log as gateway_log
from gateway.config.schema import Log
from gateway.stores.audit_log import SqlAuditLog
from gateway.stores.engine import open_engine
from tests.rig import PASSWORD, PHONE, running_gateway


async def test_sign_in_and_out_are_on_record_without_secrets(tmp_path: Path) -> None:
    stream = io.StringIO()
    before = logging.getLogger().handlers[:]
    gateway_log.configure(Log(level="debug"), stream)
    try:
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
            for _ in range(50):
                engine = open_engine(rig.config.storage.url)
                rows = await SqlAuditLog(engine).tail(50)
                await engine.dispose()
                if any(row.event == "logout" for row in rows):
                    break
                await asyncio.sleep(0.05)
    finally:
        logging.getLogger().handlers[:] = before
    lines = stream.getvalue()
    events = ["password_failed", "password_ok", "code_sent", "code_failed", "login", "logout"]
    assert [row.event for row in rows] == events
    logged = [
        entry["event"]
        for line in lines.splitlines()
        if (entry := json.loads(line))["logger"] == "gateway.audit"
    ]
    assert logged == events
    for secret in (PASSWORD, "a wrong password", code, PHONE, cookie, "hidden"):
        assert secret not in lines, secret
        assert secret not in repr(rows), secret
