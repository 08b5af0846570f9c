"""The page with everybody and every address that has to wait now, and a button to lift it."""

from aiohttp import web

from gateway.admin.lockouts import AdminBlocks
from gateway.admin.pages.base import Call, Paper

SHOWN = 200


class BlockedScreens:
    """The page of everybody who has to wait."""

    def __init__(self, paper: Paper, blocks: AdminBlocks) -> None:
        self._paper, self._blocks = paper, blocks

    async def list(self, call: Call) -> web.StreamResponse:
        """Show who has to wait, and who is attacked."""
        found = await self._blocks.now()
        return self._paper.page(
            call,
            "blocked.html",
            "/blocked",
            blocked=found[:SHOWN],
            total=len(found),
            attacks=await self._blocks.attacks(),
        )

    async def lift(self, call: Call) -> web.StreamResponse:
        await self._blocks.lift(call.actor, call.form.get("id", ""))
        return self._paper.onward("/blocked", done="lifted")
