"""The pages about users: find them, add or invite one, and one user with everything that belongs to it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

from aiohttp import web

from gateway.admin.difference import version
from gateway.admin.exports import streamed, users_yaml
from gateway.admin.lockouts import AdminBlocks
from gateway.admin.pages.base import Call, Paper
from gateway.admin.pages.user_filters import user_filter
from gateway.admin.revocation import Accesses
from gateway.admin.users import OneTimeLink, UserChanges
from gateway.directory import identifiers
from gateway.errors import RequestRefused
from gateway.i18n.text import N_
from gateway.model import Attributes, User
from gateway.stores.protocols.audit import AuditQuery

PAGE = 50
_RECENT = 15
MOST_SESSIONS = 100
_EMPTY = dict.fromkeys(("username", "name", "email", "phone", "groups"), "")
NOT_CONFIRMED = N_("Type the username to confirm that you mean this user.")
UNKNOWN_ACT = N_("That can’t be done here.")


class UserScreens:
    """The pages of users."""

    def __init__(self, paper: Paper, people: UserChanges, accesses: Accesses, blocks: AdminBlocks) -> None:
        self._paper, self._people, self._accesses, self._blocks = paper, people, accesses, blocks
        self._acts: Mapping[str, Callable[[Call, User], Awaitable[web.StreamResponse]]] = {
            "save": self._save,
            "disable": self._switch,
            "enable": self._switch,
            "delete": self._delete,
            "link": self._link,
            "factors": self._factors,
            "sessions": self._sessions,
            "devices": self._devices,
            "unlock": self._unlock,
        }

    async def list(self, call: Call) -> web.StreamResponse:
        """Show a page of the users that fit the filter, in the order that is asked for."""
        asked = user_filter(call, self._paper.admin.services.clock())
        found = await self._paper.admin.found.find(asked.query, after=call.query("after"), limit=PAGE + 1)
        rest = found.users
        return self._paper.page(
            call,
            "users.html",
            "/users",
            users=rest[:PAGE],
            total=found.total,
            complete=found.complete,
            last=found.last_sign_in,
            asked=asked,
            entered={**_EMPTY, **call.form},
            after=rest[PAGE - 1].username if len(rest) > PAGE else "",
            can_change=self._people.can_change,
            origin=self._paper.admin.origin,
            admins=self._paper.admin.config.admin.groups,
        )

    async def add(self, call: Call) -> web.StreamResponse:
        """Add or invite the user of the form."""
        wanted = _edited(User(call.form.get("username", "")), call.form)
        if call.form.get("do") == "invite":
            link = await self._people.invite(call.actor, wanted)
            return await self._page(call, await self._people.get(wanted.username), link)
        user = await self._people.add(call.actor, wanted, call.form.get("password") or None)
        return self._paper.onward("/user", name=user.username, done="added")

    async def export(self, call: Call) -> web.StreamResponse:
        """Never with password hashes: those leave by the command only."""
        headers = {
            "Content-Type": "application/yaml; charset=utf-8",
            "Content-Disposition": 'attachment; filename="users.yaml"',
        }
        everybody = users_yaml(self._paper.admin.services.users.directory, passwords=False)
        return await streamed(call.request.http, headers, everybody)

    # -- one user ------------------------------------------------------------------------------------------------------

    async def show(self, call: Call) -> web.StreamResponse:
        return await self._page(call, await self._named(call))

    async def act(self, call: Call) -> web.StreamResponse:
        """Do what the form asks for. Raises RequestRefused for an act that there is not."""
        act = self._acts.get(call.form.get("do", ""))
        if act is None:
            raise RequestRefused("unknown act", public=UNKNOWN_ACT)
        return await act(call, await self._named(call))

    async def _named(self, call: Call) -> User:
        return await self._people.get(call.query("name"))

    async def _page(self, call: Call, user: User, link: OneTimeLink | None = None) -> web.StreamResponse:
        recent = await self._paper.admin.search.newest(AuditQuery(username=user.username), _RECENT)
        return self._paper.page(
            call,
            "user.html",
            "/users",
            user=user,
            version=version(user),
            link=link,
            recent=recent.entries,
            entered=call.form,
            factors=await self._accesses.factors(user),
            sessions=await self._accesses.sessions(call.actor, user.username, limit=MOST_SESSIONS),
            devices=await self._accesses.devices(user.username),
            blocked=await self._blocks.of(user),
            known=await self._paper.admin.services.messaging.sms.dispatch.known_of(user.username, user.phone),
            can_change=self._people.can_change,
            origin=self._paper.admin.origin(user),
            own=user.username == call.actor.name,
        )

    async def _save(self, call: Call, user: User) -> web.StreamResponse:
        await self._people.change(call.actor, _edited(user, call.form), call.form.get("version", "-"))
        return self._after(user, "saved")

    async def _switch(self, call: Call, user: User) -> web.StreamResponse:
        disabled = call.form["do"] == "disable"
        await self._people.change(call.actor, replace(user, disabled=disabled), version(user))
        return self._after(user, "disabled" if disabled else "enabled")

    async def _delete(self, call: Call, user: User) -> web.StreamResponse:
        if call.form.get("confirm", "").strip() != user.username:
            raise RequestRefused("not confirmed", public=NOT_CONFIRMED, status=422)
        await self._people.delete(call.actor, user.username)
        return self._paper.onward("/users", done="deleted")

    async def _link(self, call: Call, user: User) -> web.StreamResponse:
        link = await self._people.link(call.actor, user.username)
        return await self._page(call, await self._people.get(user.username), link)

    async def _factors(self, call: Call, user: User) -> web.StreamResponse:
        await self._accesses.reset_factors(call.actor, user, call.form.get("id", ""))
        return self._after(user, "factors")

    async def _sessions(self, call: Call, user: User) -> web.StreamResponse:
        if id := call.form.get("id", ""):
            await self._accesses.end(call.actor, id)
        else:
            await self._accesses.end_all(call.actor, user.username)
        return self._after(user, "ended")

    async def _devices(self, call: Call, user: User) -> web.StreamResponse:
        await self._accesses.forget_devices(call.actor, user.username)
        return self._after(user, "forgotten")

    async def _unlock(self, call: Call, user: User) -> web.StreamResponse:
        await self._blocks.unlock(call.actor, user)
        return self._after(user, "unlocked")

    def _after(self, user: User, done: str) -> web.Response:
        return self._paper.onward("/user", name=user.username, done=done)


def _edited(user: User, form: Mapping[str, str]) -> User:
    """Only what the form shows can be changed by it."""
    groups = tuple(name.strip() for name in form.get("groups", "").split(",") if name.strip())
    return replace(
        user,
        name=form.get("name", ""),
        email=form.get("email", ""),
        phone=form.get("phone", ""),
        groups=groups,
        attributes=_attributes(form["attributes"]) if "attributes" in form else user.attributes,
    )


def _attributes(text: str) -> Attributes:
    """Those of the form's lines, `name: value` each; a name may stand in several. Raises InvalidUser."""
    found: dict[str, list[str]] = {}
    for line in filter(str.strip, text.splitlines()):
        name, _, value = line.partition(":")
        found.setdefault(name.strip(), []).append(value)
    return identifiers.attributes(found)
