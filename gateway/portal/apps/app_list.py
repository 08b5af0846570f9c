"""Knows which apps a user may open, which of them they have pinned, and what the page of them asks for first."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address
from urllib.parse import urlsplit

from gateway.authn.factors.preference import Preferences
from gateway.clock import Clock
from gateway.config.schema import AccessRequest, Route
from gateway.errors import RequestRefused
from gateway.model import Decision, Principal, Target, Verdict
from gateway.policy.decide import Routes, has_two
from gateway.policy.visible_apps import AppAccess, ListedApp, access
from gateway.request.target import canonical_path, parse_authority, split_request_target

PINNED = "pinned"
MOST_PINS = 50


@dataclass(frozen=True, slots=True)
class UserApp:
    """An app as one user sees it."""

    app: ListedApp
    access: AppAccess
    pinned: bool


class AppList:
    """The apps of all users. `root` says whether the page is the front page of the portal's host, where no route is."""

    def __init__(
        self,
        routes: Routes,
        offered: Sequence[AccessRequest],
        preferences: Preferences,
        clock: Clock,
        *,
        public_url: str,
        prefix: str,
    ) -> None:
        self._offered, self._preferences, self._clock = offered, preferences, clock
        self._home = home_target(public_url)
        self._apps = listed_apps(routes, self._home)
        self._page = f"{prefix}/"
        self.root = routes.match(self._home.host, self._home.path) is None and self._home.path != self._page
        self.href = self._home.path if self.root else self._page
        """Where the page is, on the portal's host."""

    def is_here(self, destination: Target) -> bool:
        """Whether the page of apps is at this address."""
        front = (self._home.path, self._home.path.rstrip("/"))
        at_root = self.root and destination.path in front and destination.host == self._home.host
        return at_root or destination.path in (self._page, self._page.rstrip("/"))

    def decision(self, destination: Target, principal: Principal | None) -> Decision | None:
        """What stands before the page: what its apps ask for. Who may open none of them sees an empty page."""
        if not self.is_here(destination):
            return None
        if principal is None:
            return Decision(Verdict.SIGN_IN, "portal", "portal")
        more = not has_two(principal.amr) and any(
            one is AppAccess.PROVE for _, one in self._access(principal, destination)
        )
        verdict = Verdict.STEP_UP if more or principal.session.step_up else Verdict.ALLOW
        return Decision(verdict, "portal", "portal")

    async def of(self, principal: Principal, asks_from: Target) -> list[UserApp]:
        """Return what this user may open or ask for: pinned ones first, else as configured."""
        pins = await self._pins(principal.username)
        found = [
            UserApp(app, what, app.id in pins)
            for app, what in self._access(principal, asks_from)
            if what is not AppAccess.NO
        ]
        return sorted(found, key=lambda one: not one.pinned)

    def find(self, id: str, principal: Principal, asks_from: Target) -> ListedApp | None:
        """Return the app with this id, None if there is none that this user may know of."""
        app = next((one for one in self._apps if one.id == id), None)
        if app is None:
            return None
        what = access(app, principal, asks_from, self._clock(), self._offered)
        return app if what is not AppAccess.NO else None

    async def pin(self, username: str, app: ListedApp, *, pinned: bool) -> None:
        """Pin an app, or take its pin away; apps that are gone lose theirs by the way."""
        pins = await self._pins(username)
        kept = [id for id in pins if id != app.id and any(one.id == id for one in self._apps)]
        after = [*kept, app.id] if pinned else kept
        await self._preferences.note(username, PINNED, json.dumps(after[-MOST_PINS:]))

    async def _pins(self, username: str) -> list[str]:
        return [str(id) for id in json.loads(await self._preferences.noted(username, PINNED) or "[]")]

    def _access(self, principal: Principal, asks_from: Target) -> list[tuple[ListedApp, AppAccess]]:
        now = self._clock()
        return [(app, access(app, principal, asks_from, now, self._offered)) for app in self._apps]


def listed_apps(routes: Routes, home: Target) -> tuple[ListedApp, ...]:
    """Return the apps that may be shown to anybody, in the order of the configuration.

    Without a section `app` these are the routes with an upstream that have a name, or a whole host of their own.
    """
    return tuple(_listed(routes, home))


def _listed(routes: Routes, home: Target) -> Iterator[ListedApp]:
    for route in routes.all:
        if route.app is not None and route.app.hidden:
            continue
        if route.app is None and (route.upstream is None or (route.path != "/" and not route.name)):
            continue
        target = _opens_at(route, home)
        if target is not None and routes.find(target) is route:  # else an earlier one hides it
            given = route.app.name if route.app else ""
            own = target.host if target.path == "/" else f"{target.host}{target.path}"
            yield ListedApp(route=route, target=target, name=given or route.name or own)


def _opens_at(route: Route, home: Target) -> Target | None:
    url = route.app.url if route.app else ""
    if url and not url.startswith("/"):
        parts = urlsplit(url)
        try:
            host, port = parse_authority(parts.netloc)
            path = canonical_path(parts.path or "/")
        except RequestRefused:
            return None
        return replace(home, scheme=parts.scheme, host=host, port=port, path=path, query=parts.query)
    if route.host.startswith("*."):
        return None
    host = home.host if route.host == "*" else route.host
    path, query = split_request_target(url) if url else (route.path, "")
    return replace(home, host=host, path=path, query=query)


def home_target(public_url: str) -> Target:
    """Return the target of the portal's own front page: "/", or below the path of `public_url`."""
    parts = urlsplit(public_url)
    host, port = parse_authority(parts.netloc)
    return Target(
        scheme=parts.scheme,
        host=host,
        port=port,
        method="GET",
        path=f"{parts.path}/",
        query="",
        client=ip_address("127.0.0.1"),
    )
