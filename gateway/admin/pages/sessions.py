"""The overview, and the page with all sessions."""

from aiohttp import web

from gateway.admin.overview import overview
from gateway.admin.pages.base import Call, Paper
from gateway.admin.revocation import Accesses
from gateway.config.names import user_name

PAGE = 100


class SessionScreens:
    """The overview and the page of sessions."""

    def __init__(self, paper: Paper, accesses: Accesses) -> None:
        self._paper, self._accesses = paper, accesses

    async def overview(self, call: Call) -> web.StreamResponse:
        """Show the numbers of the last 24 hours."""
        sessions = await self._accesses.count_sessions()
        return self._paper.page(call, "overview.html", "", now=await overview(self._paper.admin, sessions))

    async def list(self, call: Call) -> web.StreamResponse:
        """Pages by number: the list lives, so a cursor into it would be as wrong."""
        username = user_name(call.query("user"))
        page = int(number) if (number := call.query("page")).isdecimal() and len(number) < 6 else 1
        begin = (max(page, 1) - 1) * PAGE
        found = await self._accesses.sessions(call.actor, username, limit=PAGE + 1, skip=begin)
        return self._paper.page(
            call,
            "sessions.html",
            "/sessions",
            sessions=found[:PAGE],
            total=await self._accesses.count_sessions(username),
            user=username,
            next=page + 1 if len(found) > PAGE else 0,
        )

    async def end(self, call: Call) -> web.StreamResponse:
        """End one session, or all of a user."""
        if call.form.get("do") == "end_all" and call.form.get("user"):
            await self._accesses.end_all(call.actor, call.form["user"])
        else:
            await self._accesses.end(call.actor, call.form.get("id", ""))
        return self._paper.onward("/sessions", user=call.query("user"), done="ended")
