"""Which apps a user is shown: those that the rules let them open, or ask for. Pure: it asks `decide`.

What a user may neither open nor ask for is not named to them, and what is hidden to nobody.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from hashlib import sha256

from gateway.config.schema import AccessRequest, Route
from gateway.model import Principal, Target, Verdict
from gateway.policy.decide import Routes, decide
from gateway.policy.grantable_groups import requestable


class AppAccess(StrEnum):
    """What a user may do with an app."""

    OPEN = "open"
    PROVE = "prove"
    """Open it after one more proof."""
    ASK = "ask"
    """Ask somebody for a group that opens it."""
    NO = "no"


@dataclass(frozen=True, slots=True)
class ListedApp:
    """A route as people know it. `target` is what opens it."""

    route: Route
    target: Target
    name: str

    @property
    def id(self) -> str:
        """Names the app in forms and addresses."""
        return sha256(self.target.url.encode()).hexdigest()[:16]

    @property
    def description(self) -> str:
        return self.route.app.description if self.route.app else ""

    @property
    def group(self) -> str:
        return self.route.app.group if self.route.app else ""


def access(
    app: ListedApp, principal: Principal, asks_from: Target, now: float, offered: Sequence[AccessRequest] = ()
) -> AppAccess:
    """Return what `principal` may do with the app, asking from where `asks_from` came from."""
    target = replace(app.target, client=asks_from.client, country=asks_from.country)
    verdict = decide(app.route, target, principal, now).verdict
    if verdict is Verdict.ALLOW:
        return AppAccess.OPEN
    if verdict is not Verdict.DENY:
        return AppAccess.PROVE
    return AppAccess.ASK if requestable(offered, app.route, target, principal, now) else AppAccess.NO


def named_at_sign_in(routes: Routes, destination: Target) -> str:
    """Return what the sign-in page may call its destination before anybody is known: a name that the operator gave
    for people to read, "" if there is none or the route is hidden or closed.
    """
    route = routes.find(destination)
    if route is None or route.app is None or route.app.hidden:
        return ""
    closed = all(rule.require == "deny" for rule in route.access)
    return "" if closed else route.app.name
