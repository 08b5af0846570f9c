"""What the pages of the console share: the call that a page answers, and how it is rendered."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode

from aiohttp import web

from gateway.admin.actor import Actor
from gateway.admin.services import AdminServices
from gateway.errors import GatewayError
from gateway.i18n.text import N_, Text
from gateway.portal.request import PortalRequest, see_other

REGISTRATIONS = "/registrations"
"""In the menu only where people ask for accounts."""
MENU = (
    ("", N_("Overview")),
    ("/users", N_("Users")),
    (REGISTRATIONS, N_("New accounts")),
    ("/sessions", N_("Sessions")),
    ("/blocked", N_("Blocked now")),
    ("/audit", N_("Audit log")),
    ("/changes", N_("Changes")),
    ("/routes", N_("Routes")),
    ("/sms", N_("Text messages")),
)

DONE = {
    "added": N_("The user is added."),
    "saved": N_("Your change is saved."),
    "deleted": N_("The user is deleted."),
    "disabled": N_("The user is disabled. All sessions have ended."),
    "enabled": N_("The user can sign in again."),
    "factors": N_("It is reset. Sessions and remembered devices of this user have ended."),
    "ended": N_("Signed out there."),
    "unlocked": N_("Every lock and limit of this user is lifted."),
    "lifted": N_("It is lifted."),
    "approved": N_("The user is added, and gets an invitation by mail."),
    "refused": N_("The request is refused. Who asked is told by mail."),
    "forgotten": N_("The devices are forgotten."),
}


@dataclass(frozen=True, slots=True)
class Call:
    """A request by an administrator. `error` says why the form that came before was refused."""

    request: PortalRequest
    actor: Actor
    form: Mapping[str, str] = field(default_factory=dict)
    error: str | None = None
    status: int = 200

    def query(self, name: str) -> str:
        """Return a parameter of the query without NUL, which PostgreSQL takes in no text."""
        return self.request.http.query.get(name, "")[:500].replace("\0", "")


Screen = Callable[[Call], Awaitable[web.StreamResponse]]
Screens = Mapping[str, Mapping[str, Screen]]
"""Path below the console -> method -> page."""


@dataclass(frozen=True, slots=True)
class Paper:
    """Renders pages with menu and form token."""

    admin: AdminServices

    def page(self, call: Call, template: str, here: str, **context: object) -> web.Response:
        """Render a page of the console, with its menu; `here` is its path below the console's home."""
        registers = self.admin.config.registration.mode == "approval"
        notice = DONE.get(call.query("done")) if call.error is None else None
        return self.admin.services.pages.render(
            f"admin/{template}",
            call.status,
            reader=call.request.reader,
            request_id=call.request.request_id,
            csrf_token=call.request.visit.csrf,
            menu=[one for one in MENU if one[0] != REGISTRATIONS or registers],
            here=here,
            home=self.admin.home,
            error=call.error,
            notice=notice,
            headers=None,
            **context,
        )

    def onward(self, path: str, **query: str) -> web.Response:
        return see_other(f"{self.admin.home}{path}?{urlencode(query)}")


def sentence(error: GatewayError) -> str | Text:
    """Return what an administrator may read: an error's own sentence where it has one, else its public one."""
    return error.public if "public" in vars(error) or not error.detail else error.detail
