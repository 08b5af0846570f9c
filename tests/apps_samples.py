"""Sample data for the page of a user's apps."""

from typing import Any

from aiohttp import web

from gateway.config.schema import Route
from gateway.config.sections.app import App
from gateway.i18n.text import N_
from gateway.model import User
from gateway.policy.visible_apps import AppAccess, ListedApp
from gateway.portal.apps.app_list import UserApp, home_target
from gateway.portal.apps.icons import letter


def app(
    name: str,
    description: str = "",
    group: str = "",
    access: AppAccess = AppAccess.OPEN,
    *,
    pinned: bool = False,
) -> UserApp:
    host = f"{name.split(maxsplit=1)[0].lower()}.harbour.example"
    route = Route(
        host=host, upstream="http://127.0.0.1:1", app=App(name=name, description=description, group=group)
    )
    return UserApp(ListedApp(route, home_target(f"https://{host}"), name), access, pinned)


APPS: dict[str, Any] = {
    "csrf_token": "t",
    "here": "/_auth/",
    "user": User("mira", "Mira Holm", "mira@harbour.example"),
    "groups": [
        (N_("Pinned"), [app("Tide tables", "High and low water of the week", pinned=True)]),
        ("", [app("Wiki", "What we know"), app("Mail")]),
        ("Finance", [app("Invoices", "Berths, cranes and everything else that costs"), app("Payroll")]),
    ],
    "askable": [app("Cranes", "Who lifts what, and when", access=AppAccess.ASK)],
    "address": lambda one: one.app.target.url,
}
APP_SAMPLES: dict[str, tuple[str, dict[str, Any]]] = {
    "apps": ("apps.html", APPS),
    "apps-none": ("apps.html", APPS | {"groups": [(N_("Pinned"), [])], "askable": []}),
}


async def icon(request: web.Request) -> web.Response:
    return web.Response(body=letter(request.match_info["id"]).body, content_type="image/svg+xml")
