"""The criteria of a rule: what it may ask of a request (host, path, time and more) and of who sends it.

Pure. All criteria of a rule must hold for it to match; which rule then decides is `decide`'s.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from gateway.config.patterns import asks_user, host_holds, path_holds
from gateway.config.schema import Rule, Times
from gateway.model import Principal, Target
from gateway.policy.queries import Query, query_holds

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
LONGEST_REMEMBERED = 256
"""Paths come from outside: what is remembered of them must not grow large."""


@dataclass(frozen=True, slots=True)
class PolicyQuestion:
    """What the rules are asked about."""

    target: Target
    principal: Principal | None
    now: float
    query: Query

    @property
    def name(self) -> str | None:
        """The user's name, None if nobody is signed in."""
        return self.principal.username if self.principal else None


@dataclass(frozen=True, slots=True)
class Criterion:
    """One thing that a rule may ask for. `reason` is its code in logs; `key` its name in the configuration."""

    key: str
    reason: str
    holds: Callable[[Rule, PolicyQuestion], bool]

    def asked_by(self, rule: Rule) -> bool:
        """Whether a rule has this criterion."""
        return bool(getattr(rule, self.key))


def _host(rule: Rule, question: PolicyQuestion) -> bool:
    return any(host_holds(pattern, question.target.host, question.name) for pattern in rule.hosts)


def _path(rule: Rule, question: PolicyQuestion) -> bool:
    path = question.target.path
    holds = _one_holds if len(path) <= LONGEST_REMEMBERED else _one_holds.__wrapped__
    asker = question.name if _ask_user(rule.paths) else None
    return holds(rule.paths, path, asker)


@lru_cache(maxsize=1024)
def _ask_user(patterns: tuple[str, ...]) -> bool:
    return any(map(asks_user, patterns))


@lru_cache(maxsize=8192)
def _one_holds(patterns: tuple[str, ...], path: str, user: str | None) -> bool:
    """Whether the path is one of the patterns'. The same texts get the same answer, whoever's rule they are in."""
    return any(path_holds(pattern, path, user) for pattern in patterns)


def _method(rule: Rule, question: PolicyQuestion) -> bool:
    return question.target.method in rule.methods


def _query(rule: Rule, question: PolicyQuestion) -> bool:
    return query_holds(rule.query, question.query)


def _network(rule: Rule, question: PolicyQuestion) -> bool:
    return any(question.target.client in network for network in rule.networks)


def _country(rule: Rule, question: PolicyQuestion) -> bool:
    """Where nobody knows the country, no rule lets in by it, and one that denies all but some denies."""
    country = question.target.country
    if not country:
        return rule.require == "deny" and rule.countries[0].startswith("!")
    if rule.countries[0].startswith("!"):
        return f"!{country}" not in rule.countries
    return country in rule.countries


def _time(rule: Rule, question: PolicyQuestion) -> bool:
    return is_within(rule.times, question.now)


def _user(rule: Rule, question: PolicyQuestion) -> bool:
    return question.principal is not None and question.principal.username in rule.users


def _group(rule: Rule, question: PolicyQuestion) -> bool:
    return question.principal is not None and not set(rule.groups).isdisjoint(question.principal.groups)


def _attribute(rule: Rule, question: PolicyQuestion) -> bool:
    if question.principal is None:
        return False
    user = question.principal.user
    return all(not set(values).isdisjoint(user.attribute(name)) for name, values in rule.attributes.items())


OF_REQUEST = (
    Criterion("hosts", "host", _host),
    Criterion("paths", "path", _path),
    Criterion("query", "query", _query),
    Criterion("methods", "method", _method),
    Criterion("networks", "network", _network),
    Criterion("countries", "country", _country),
    Criterion("times", "time", _time),
)
OF_SUBJECT = (
    Criterion("users", "user", _user),
    Criterion("groups", "group", _group),
    Criterion("attributes", "attribute", _attribute),
)
CRITERIA = OF_REQUEST + OF_SUBJECT


def about_somebody(rule: Rule) -> bool:
    """Whether the rule's match depends on who asks."""
    return (
        bool(rule.users or rule.groups or rule.attributes) or _ask_user(rule.hosts) or _ask_user(rule.paths)
    )


@lru_cache(maxsize=1024)
def criteria_of(asked: frozenset[str]) -> tuple[tuple[Criterion, ...], tuple[Criterion, ...]]:
    """Those of the request and those of who asks, among the criteria that a rule names."""
    of_request = tuple(one for one in OF_REQUEST if one.key in asked)
    return of_request, tuple(one for one in OF_SUBJECT if one.key in asked)


def is_within(times: Times, now: float) -> bool:
    """Whether Unix time `now` lies in one of the spans. A span past midnight belongs to the day it began on."""
    local = datetime.fromtimestamp(now, ZoneInfo(times.timezone))
    return any(_in_span(span, times.days, local) for span in times.hours or ("00:00-24:00",))


def _in_span(span: str, days: tuple[str, ...], local: datetime) -> bool:
    begin, end = span.split("-")
    clock = local.strftime("%H:%M")
    if begin < end:
        return begin <= clock < end and _on(days, local)
    return (clock >= begin and _on(days, local)) or (clock < end and _on(days, local - timedelta(days=1)))


def _on(days: tuple[str, ...], local: datetime) -> bool:
    return not days or _DAYS[local.weekday()] in days
