"""Big tables: no page, search or export takes more than a page of rows out of the database at once.

`make scale` measures what that is for (bench/scale); here it is counted, which no neighbour's load changes.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert

from gateway.directory.base import PAGE
from gateway.model import SessionRecord, User
from gateway.stores.protocols.core import AuditRow
from gateway.stores.sql.schema import sessions
from gateway.stores.sql.sessions import _row
from gateway.stores.sql.transactions import OneHopCursor, writing
from tests.admin_rig import ADMIN, API, administered
from tests.rig import Browser, Rig

MANY = 3 * PAGE


@dataclass
class Rows:
    """The most rows that one answer of the database had, and the statement that brought them."""

    most: int = 0
    statement: str = ""
    _seen: list[int] = field(default_factory=list)

    def note(self, count: int, statement: str) -> None:
        if count > self.most:
            self.most, self.statement = count, statement


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> Rows:
    seen = Rows()
    execute = OneHopCursor.execute

    async def noted(self: OneHopCursor, sql: str, parameters: Any = ()) -> OneHopCursor:
        await execute(self, sql, parameters)
        seen.note(len(self._rows), sql)
        return self

    monkeypatch.setattr(OneHopCursor, "execute", noted)
    return seen


async def fill(rig: Rig) -> None:
    now = rig.clock()
    names = [f"user{number:04}" for number in range(MANY)]
    people = [User(name, email=f"{name}@example.com", groups=("staff",), created_at=now) for name in names]
    await rig.directory.add_all(people)
    seats = [
        SessionRecord(
            sid=f"sid-{name}",
            username=name,
            amr=("password",),
            proven_at={"password": now},
            created_at=now,
            last_seen=now,
            expires_at=now + 3600,
        )
        for name in names
    ]
    async with writing(rig.gateway.stores.engine) as connection:
        await connection.execute(insert(sessions), [_row(one) for one in seats])
    await rig.gateway.stores.audit_log.append([AuditRow(now, "login", name, "", {}) for name in names])


async def read(browser: Browser, path: str) -> str:
    response = await browser.get(path, Accept="*/*")
    assert response.status == 200, path
    return await response.text()


async def test_the_console_reads_big_tables_in_pages(tmp_path: Path, rows: Rows) -> None:
    async with administered(tmp_path) as (rig, browser):
        await fill(rig)
        rows.most = 0
        for path in (
            *(
                "",
                "/users",
                "/users?q=staff",
                "/users?q=nobody",
                "/users?after=user0700",
                "/users?sort=last_sign_in&order=down",
                "/users?group=staff&factors=none&idle=30&after=user0700&sort=name",
                "/user?name=user0001",
            ),
            *("/sessions", "/sessions?page=3", "/sessions?user=user0001", "/audit", "/audit?text=zzz"),
            *("/audit?user=user0001", "/changes", "/blocked", "/routes", "/sms", "/audit/export?format=csv"),
        ):
            await read(browser, ADMIN + path)
        for path in ("/overview", "/users?limit=100", "/users?search=staff", "/sessions?limit=100", "/audit"):
            await read(browser, API + path)
        users = await read(browser, f"{ADMIN}/users.yaml")
        assert f"user{MANY - 1:04}:" in users
        assert users == await read(browser, f"{API}/export/users.yaml")
        assert len(re.findall(r"^  user\d{4}:", users, re.MULTILINE)) == MANY
        await end_one_session_and_one_user(rig, browser)
        assert rows.most <= PAGE + 1, rows.statement


async def end_one_session_and_one_user(rig: Rig, browser: Browser) -> None:
    token = (await (await browser.get(f"{API}/me", Accept="*/*")).json())["csrf_token"]
    headers = {"X-CSRF-Token": token, "Origin": rig.url}
    page = await (await browser.get(f"{API}/sessions?username=user0007", Accept="*/*")).json()
    ending = f"{rig.url}{API}/sessions/{page['items'][0]['id']}"
    async with browser.session.delete(ending, headers=headers) as ended:
        assert ended.status == 204
    assert await rig.gateway.stores.sessions.get("sid-user0007") is None
    async with browser.session.delete(f"{rig.url}{API}/users/user0007", headers=headers) as gone:
        assert gone.status == 204
