"""Finds the groups, of those that may be asked for, that would open a page which was refused. Pure: it
asks `decide`.
"""

from collections.abc import Sequence
from dataclasses import replace

from gateway.config.schema import AccessRequest, Route
from gateway.model import Principal, Target, Verdict
from gateway.policy.decide import decide


def requestable(
    offered: Sequence[AccessRequest], route: Route, target: Target, principal: Principal | None, now: float
) -> list[AccessRequest]:
    """Those of `offered` whose group would turn a plain no into something else (a second factor may still be due)."""
    if principal is None or decide(route, target, principal, now).verdict is not Verdict.DENY:
        return []
    return [one for one in offered if _would_help(one.group, route, target, principal, now)]


def proof_due(
    wanted: Sequence[AccessRequest], route: Route, target: Target, principal: Principal, now: float
) -> bool:
    """Whether a second factor would still be due with any of `wanted`: then it is due for asking, too."""
    return any(_with(one.group, route, target, principal, now) is Verdict.STEP_UP for one in wanted)


def _would_help(group: str, route: Route, target: Target, principal: Principal, now: float) -> bool:
    return _with(group, route, target, principal, now) is not Verdict.DENY


def _with(group: str, route: Route, target: Target, principal: Principal, now: float) -> Verdict:
    member = replace(principal, granted=(*principal.granted, group))
    return decide(route, target, member, now).verdict
