"""The page about routes: what the file declares, how the apps behind are doing, and why somebody may pass or not."""

from collections.abc import Sequence
from dataclasses import dataclass

from aiohttp import web

from gateway.admin.explain import Answered, answered
from gateway.admin.pages.base import Call, Paper
from gateway.admin.services import AdminServices
from gateway.admin.traffic import Traffic, traffic
from gateway.config.schema import Route, Rule
from gateway.observability import metrics
from gateway.proxy.proxy import UpstreamHealth

FACTORS = ("password", "sms", "totp", "webauthn", "email", "recovery")


@dataclass(frozen=True, slots=True)
class RouteRow:
    """A route as the page shows it. `where` and what stands beside each rule are file and line."""

    route: Route
    where: str
    rules: Sequence[tuple[Rule, str]]
    upstreams: Sequence[UpstreamHealth]
    traffic: Traffic


def route_rows(admin: AdminServices) -> list[RouteRow]:
    """Return each route with its rules, its upstreams' health and its traffic."""
    counted, health = traffic(metrics.samples()), admin.upstreams()
    return [
        RouteRow(
            route=route,
            where=admin.config.where("routes", index),
            rules=_rules(admin, index, route),
            upstreams=[one for one in health if one.route == route.label],
            traffic=counted.get(route.label, Traffic()),
        )
        for index, route in enumerate(admin.config.routes)
    ]


def _rules(admin: AdminServices, index: int, route: Route) -> list[tuple[Rule, str]]:
    """The shared ones come first, as they are asked."""
    where = admin.config.where
    shared = [where("rules", number) for number in range(len(admin.config.rules))]
    own = [where("routes", index, "rules", number) for number in range(len(route.rules))]
    return list(zip(route.access, [*shared, *(own or [where("routes", index, "policy")])], strict=True))


async def explained(
    admin: AdminServices, url: str, method: str, ip: str, username: str, amr: str
) -> Answered:
    """Judge a request that nobody has made. `amr` names what the user is supposed to have proven, with blanks or
    commas.
    """
    user = await admin.services.users.directory.get(username) if username else None
    if username and user is None:
        return Answered(refused=f"there is no user {username}")
    if user is not None and user.disabled:
        return Answered(refused=f"user {username} is disabled")
    proven = tuple(name for name in FACTORS if name in amr.replace(",", " ").split())
    services = admin.services
    return answered(
        services.routes, url, method, ip, user, proven, services.clock(), services.authn.geo.country
    )


def declared_apps(admin: AdminServices) -> list[tuple[str, str, str]]:
    """Name, client id, and where the file declares it."""
    clients = admin.config.oidc.clients
    return [
        (one.name or one.id, one.id, admin.config.where("oidc", "clients", number))
        for number, one in enumerate(clients)
    ]


class RouteScreens:
    """The page of the routes."""

    def __init__(self, paper: Paper) -> None:
        self._paper = paper

    async def list(self, call: Call) -> web.StreamResponse:
        """Show the routes, and the judgement of the request in the address if there is one."""
        admin, here = self._paper.admin, call.request.target
        defaults = {"url": "", "method": "GET", "ip": str(here.client), "user": "", "amr": "password, sms"}
        given = {name: call.query(name) or value for name, value in defaults.items()}
        answer = None
        if given["url"]:
            answer = await explained(
                admin, given["url"], given["method"], given["ip"], given["user"], given["amr"]
            )
        return self._paper.page(
            call,
            "routes.html",
            "/routes",
            rows=route_rows(admin),
            engine=admin.config.server.engine,
            apps=declared_apps(admin),
            given=given,
            answer=answer,
        )
