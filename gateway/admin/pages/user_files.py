"""The pages that take users in from CSV and give them out as CSV."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

from aiohttp import web

from gateway.admin.exports import csv_line, streamed
from gateway.admin.pages.base import Call, Paper
from gateway.admin.pages.user_filters import user_filter
from gateway.admin.user_import import UserImport
from gateway.directory.user_files import ATTRIBUTE
from gateway.model import User
from gateway.stores.protocols.user_search import UserQuery

COLUMNS = ("username", "name", "email", "phone", "groups", "disabled")
_PAGE = 500


class UserFileScreens:
    """Import with a preview, and export of what a filter finds."""

    def __init__(self, paper: Paper, imports: UserImport) -> None:
        self._paper, self._imports = paper, imports

    async def show(self, call: Call) -> web.StreamResponse:
        """Show the empty form, or the one that was refused."""
        return self._paper.page(
            call, "import.html", "/users", text=call.form.get("text", ""), plan=None, done=None
        )

    async def take(self, call: Call) -> web.StreamResponse:
        """Show what the text would do; do it when the form says so."""
        text = call.form.get("text", "")
        plan = await self._imports.plan(text)
        if call.form.get("do") != "import":
            return self._paper.page(call, "import.html", "/users", text=text, plan=plan, done=None)
        done, wrong = await self._imports.run(call.actor, plan)
        left = replace(plan, good=(), bad=[*plan.bad, *wrong])
        return self._paper.page(call, "import.html", "/users", text="", plan=left, done=done)

    async def give(self, call: Call) -> web.StreamResponse:
        """Send the users that the filter finds, page by page. Never with passwords."""
        asked = user_filter(call, self._paper.admin.services.clock())
        headers = {
            "Content-Type": "text/csv; charset=utf-8",
            "Content-Disposition": 'attachment; filename="users.csv"',
            "Content-Security-Policy": "default-src 'none'; sandbox",
        }
        return await streamed(call.request.http, headers, self._lines(asked.query))

    async def _lines(self, query: UserQuery) -> AsyncIterator[bytes]:
        names = sorted(
            {name async for users in self._pages(query) for one in users for name, _ in one.attributes}
        )
        yield csv_line((*COLUMNS, *(ATTRIBUTE + name for name in names))).encode()
        async for users in self._pages(query):
            yield "".join(csv_line(_row(one, names)) for one in users).encode()

    async def _pages(self, query: UserQuery) -> AsyncIterator[Sequence[User]]:
        after = ""
        while users := (await self._paper.admin.found.find(query, after=after, limit=_PAGE)).users:
            yield users
            after = users[-1].username


def _row(user: User, attributes: Sequence[str]) -> Sequence[object]:
    facts = (user.username, user.name, user.email, user.phone, ";".join(user.groups), user.disabled)
    return (*facts, *(";".join(user.attribute(name)) for name in attributes))
