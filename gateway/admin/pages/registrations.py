"""The page with everybody who asks for an account, and buttons to approve or refuse."""

from aiohttp import web

from gateway.admin.pages.base import Call, Paper
from gateway.admin.registrations import AdminRegistrations
from gateway.errors import RequestRefused


class RegistrationScreens:
    """The page of registrations."""

    def __init__(self, paper: Paper, registrations: AdminRegistrations) -> None:
        self._paper, self._registrations = paper, registrations

    async def list(self, call: Call) -> web.StreamResponse:
        """Show who waits."""
        return self._paper.page(
            call, "registrations.html", "/registrations", waiting=await self._registrations.waiting()
        )

    async def decide(self, call: Call) -> web.StreamResponse:
        """Approve or refuse. Raises NotWaiting, UserExists, InvalidUser; RequestRefused for another act."""
        id, what = call.form.get("id", ""), call.form.get("do", "")
        if what not in ("approve", "refuse"):
            raise RequestRefused("no such act")
        decide = self._registrations.approve if what == "approve" else self._registrations.refuse
        await decide(call.actor, id)
        return self._paper.onward("/registrations", done=f"{what}d")
