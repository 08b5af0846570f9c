"""The pages on which something is done to many users: what would happen, then what has happened."""

from collections.abc import Sequence
from urllib.parse import urlencode

from aiohttp import web

from gateway.admin.bulk import MOST, UNDOES, Act, BulkActs
from gateway.admin.pages.base import Call, Paper
from gateway.admin.pages.user_filters import UserFilter, user_filter
from gateway.config.names import user_name
from gateway.errors import RequestRefused
from gateway.i18n.text import N_
from gateway.model import User

NOT_CONFIRMED = N_("Type the number of users to confirm.")
CHANGED = N_("Other users match now. Look at them again.")
NOBODY = N_("Choose users first.")


class BulkScreens:
    """The preview and the report of an act on many users."""

    def __init__(self, paper: Paper, acts: BulkActs) -> None:
        self._paper, self._acts = paper, acts

    async def preview(self, call: Call) -> web.StreamResponse:
        """Show who would be changed and who not; nothing is changed yet."""
        asked = user_filter(call, self._paper.admin.services.clock())
        users, total = await self._meant(call, asked)
        plan = self._acts.plan(call.actor, _act(call), users)
        return self._paper.page(
            call,
            "bulk.html",
            "/users",
            plan=plan,
            total=total,
            most=MOST,
            undo=plan.act.name in UNDOES,
            address=_address(call, asked),
            back=asked.address(),
        )

    async def act(self, call: Call) -> web.StreamResponse:
        """Do what the preview has shown. Raises RequestRefused if others match meanwhile, or nobody confirms."""
        asked = user_filter(call, self._paper.admin.services.clock())
        users, _ = await self._meant(call, asked)
        plan = self._acts.plan(call.actor, _act(call), users)
        if call.form.get("seen") != plan.seen:
            raise RequestRefused("others match meanwhile", status=412, public=CHANGED)
        if call.form.get("confirm", "").strip() != str(len(plan.users)):
            raise RequestRefused("not confirmed", status=422, public=NOT_CONFIRMED)
        id = await self._acts.run(call.actor, plan.act, [one.username for one in plan.users])
        return self._paper.onward("/users/done", id=id)

    async def done(self, call: Call) -> web.StreamResponse:
        """Show what an act has done."""
        report = await self._acts.report(call.query("id"))
        return self._paper.page(call, "bulk_done.html", "/users", report=report, id=call.query("id"))

    async def undo(self, call: Call) -> web.StreamResponse:
        """Take an act back."""
        return self._paper.onward("/users/done", id=await self._acts.undo(call.actor, call.query("id")))

    async def _meant(self, call: Call, asked: UserFilter) -> tuple[Sequence[User], int]:
        """Return the users that were picked, or all that match, MOST of them at once; and how many there are."""
        admin = self._paper.admin
        if call.query("all"):
            found = await admin.found.find(asked.query, limit=MOST)
            return found.users, found.total
        picked = list(dict.fromkeys(user_name(name[:200]) for name in _picked(call)))[:MOST]
        known = [await admin.services.users.directory.get(name) for name in picked]
        users = [one for one in known if one is not None]
        if not users:
            raise RequestRefused("nobody is chosen", status=422, public=NOBODY)
        return users, len(users)


def _picked(call: Call) -> list[str]:
    return [name.replace("\0", "") for name in call.request.http.query.getall("pick", [])]


def _act(call: Call) -> Act:
    return Act(call.query("act"), call.query("with").strip()).checked()


def _address(call: Call, asked: UserFilter) -> str:
    more = {name: value for name in ("act", "with", "all") if (value := call.query(name))}
    picks = urlencode([("pick", name) for name in _picked(call)]) if "all" not in more else ""
    return "&".join(part for part in (asked.address(**more), picks) if part)
