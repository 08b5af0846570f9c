"""`auth-gateway check --explain URL`: which rule decides about a request, and why. Asks the rules, not the gateway.

The user's groups are looked up unless they are given; proven factors are what the options say.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import click

from gateway.config.names import group_name, user_name
from gateway.config.schema import Config
from gateway.errors import RequestRefused
from gateway.model import Attributes, Principal, SessionRecord, Target, User
from gateway.policy.decide import Routes
from gateway.policy.explain import Explanation, explain
from gateway.request.target import CountryOf, check_spelling, supposed_target


@dataclass(frozen=True)
class Supposed:
    """The request and the session that we are to suppose. `user` "" is nobody."""

    url: str
    user: str
    ip: str
    method: str
    groups: tuple[str, ...]
    proven: Mapping[str, float]
    """Factor -> when, in Unix seconds."""
    now: float
    attributes: Attributes = ()


def parse_time(text: str, now: float) -> float:
    """Return Unix seconds from ISO 8601; without an offset it is local time. "" is `now`. Raises BadParameter."""
    try:
        return parse_moment(text, now)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--at") from None


def parse_moment(text: str, now: float) -> float:
    """Like parse_time, for texts from files. Raises ValueError."""
    try:
        return datetime.fromisoformat(text).timestamp() if text else now
    except ValueError:
        raise ValueError("write a time such as 2027-01-15T08:30+01:00") from None


def unknown(user: str, *, disabled: bool = False) -> dict[str, Any]:
    """What is said of a user who can't sign in: no rule is asked."""
    return _refused(403, f"user {user} is disabled" if disabled else f"there is no user {user}")


def answer(config: Config, supposed: Supposed, country_of: CountryOf) -> dict[str, Any]:
    """The explanation as plain data. Requests that are refused before any rule is asked say why."""
    try:
        target = _target(supposed, country_of)
        route = Routes(config.routes).find(target)
        if route is None:
            return _refused(404, f"no route for {target.host}{target.path}")
        check_spelling(target.path, route.allow_in_path)
    except RequestRefused as refusal:
        return _refused(refusal.status, refusal.detail)
    explanation = explain(route, target, _principal(supposed), supposed.now)
    return {"route": route.label, **_plain(explanation)}


def _target(supposed: Supposed, country_of: CountryOf) -> Target:
    if not urlsplit(supposed.url).netloc:
        raise RequestRefused("write the whole address, such as https://app.example.com/admin")
    return supposed_target(supposed.url, supposed.method, supposed.ip, country_of)


def _principal(supposed: Supposed) -> Principal | None:
    if not supposed.user:
        return None
    began = min(supposed.proven.values(), default=supposed.now)
    session = SessionRecord(
        sid="explained",
        username=user_name(supposed.user),
        amr=tuple(supposed.proven),
        proven_at=dict(supposed.proven),
        created_at=began,
        last_seen=supposed.now,
        expires_at=supposed.now + 1,
    )
    groups = tuple(map(group_name, supposed.groups))
    return Principal(User(session.username, groups=groups, attributes=supposed.attributes), session)


def _refused(status: int, reason: str) -> dict[str, Any]:
    return {"verdict": "refused", "status": status, "reason": reason, "rules": []}


def _plain(explanation: Explanation) -> dict[str, Any]:
    decision = explanation.decision
    return {
        "verdict": decision.verdict.value,
        "rule": decision.rule,
        "reason": decision.reason,
        "factors": sorted(decision.factors),
        "rules": [{**asdict(rule), "matches": rule.matches} for rule in explanation.rules],
    }


def as_text(report: dict[str, Any]) -> str:
    """For people: every rule with every criterion, then the verdict."""
    lines = [f"note: {report['note']}"] if report.get("note") else []
    lines += [f"route {report['route']}"] if "route" in report else []
    for rule in report["rules"]:
        mark = "=>" if rule["decides"] else "  "
        lines.append(f"{mark} {rule['rule']} (require: {rule['require']}): {_outcome(rule)}")
        lines += map(_criterion, rule["answers"])
        if rule["matches"]:
            lines += (f"     demands{_criterion(one)[4:]}" for one in rule["demands"])
    by = f" by {report['rule']}" if "rule" in report else ""
    lines.append(f"{report['verdict']}{by}: {report['reason']}")
    return "\n".join(lines)


def _outcome(rule: dict[str, Any]) -> str:
    return "matches" if rule["matches"] else "does not match"


def _criterion(given: dict[str, Any]) -> str:
    mark = "hit " if given["holds"] else "miss"
    return f"     {mark} {given['criterion']}: wants {given['wants']}; has {given['has'] or 'none'}"
