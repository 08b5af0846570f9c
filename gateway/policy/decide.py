"""Decides, purely: may this principal have this target? Deny by default.

The rules of a route are asked in order. The first whose criteria all match decides; if none does, no.
No I/O and no clock here: the same function serves the proxy, forward-auth and `check --explain`.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache
from typing import get_args
from zoneinfo import ZoneInfo

from gateway.config.path_readings import readings
from gateway.config.patterns import asks_user, host_holds, path_holds
from gateway.config.schema import FactorName, Policy, Route, Rule, Times
from gateway.model import Decision, Principal, Target, Verdict
from gateway.policy.queries import Query, query_holds, query_readings

FIRST_FACTORS = frozenset({"password", "federated"})
SECOND_FACTORS = frozenset(get_args(FactorName)) - FIRST_FACTORS
LENT_FACTORS = frozenset({"approval", "bypass"})
"""Given by another session or an administrator: no device is remembered for them, and who has only these approves
nobody."""
OWN_FACTORS = SECOND_FACTORS - {"approval"}
"""What opens the account to changes: one approval by mistake must not become a factor of the thief's own."""
MACHINE_PROOFS = frozenset({"token", "certificate"})
DEVICE = "device"
"""What a remembered device proves: the second of two factors, where a rule wants nothing more exact."""
UPSTREAM_MFA = "upstream_mfa"
"""What a provider whose second factor we trust has proven: likewise."""
_BORROWED = frozenset({DEVICE, UPSTREAM_MFA})
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


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
    holds = _one_holds if len(path) <= _LONGEST_REMEMBERED else _one_holds.__wrapped__
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


OF_REQUEST = (
    Criterion("hosts", "host", _host),
    Criterion("paths", "path", _path),
    Criterion("query", "query", _query),
    Criterion("methods", "method", _method),
    Criterion("networks", "network", _network),
    Criterion("countries", "country", _country),
    Criterion("times", "time", _time),
)
OF_SUBJECT = (Criterion("users", "user", _user), Criterion("groups", "group", _group))
CRITERIA = OF_REQUEST + OF_SUBJECT
_LONGEST_REMEMBERED = 256
"""Paths come from outside: what is remembered of them must not grow large."""
_readings = lru_cache(maxsize=8192)(readings)


def decide(route: Route, target: Target, principal: Principal | None, now: float) -> Decision:
    """What the route's rules say. A path that an app could read as another one must get the same answer as both."""
    path = target.path
    paths = _readings(path) if len(path) <= _LONGEST_REMEMBERED else readings(path)
    if len(paths) == 1:
        return _of_every_query(route, target, principal, now)
    answers = {_of_every_query(route, replace(target, path=path), principal, now) for path in paths}
    return answers.pop() if len(answers) == 1 else Decision(Verdict.DENY, route.label, "ambiguous_path")


def _of_every_query(route: Route, target: Target, principal: Principal | None, now: float) -> Decision:
    """Likewise for the query, where a rule asks about one."""
    if not route.query_names:
        return _first_match(route, PolicyQuestion(target=target, principal=principal, now=now, query={}))
    queries = query_readings(target.query, route.query_names)
    answers = {
        _first_match(route, PolicyQuestion(target=target, principal=principal, now=now, query=query))
        for query in queries
    }
    return answers.pop() if len(answers) == 1 else Decision(Verdict.DENY, route.label, "ambiguous_query")


def _first_match(route: Route, question: PolicyQuestion) -> Decision:
    """Anonymous callers are sent to sign in where a rule asks who they are and signing in could help."""
    unknown: Rule | None = None
    missed = "no_rule"
    for rule, asked in route.asked:
        of_request, of_subject = _criteria(asked)
        miss = _first_miss(rule, of_request, question)
        if miss is None and question.principal is None and about_somebody(rule):
            if rule.require != "deny":
                return Decision(Verdict.SIGN_IN, rule.name, "no_session")
            unknown = unknown or rule  # whom it refuses is only known after signing in
            continue
        miss = miss or _first_miss(rule, of_subject, question)
        if miss is None:
            decision = judge(rule, question)
            if unknown is not None and decision.verdict is Verdict.ALLOW:
                return Decision(Verdict.SIGN_IN, unknown.name, "no_session")
            return decision
        missed = miss.reason
    return Decision(Verdict.DENY, route.label, missed if len(route.access) == 1 else "no_rule")


def hinges_on_query(route: Route, target: Target, principal: Principal | None, now: float) -> bool:
    """Whether a rule would match but for its query, so that who doesn't know the query can't tell what is decided."""
    question = PolicyQuestion(target=target, principal=principal, now=now, query={})
    return any(
        "query" in asked and _first_miss(rule, _criteria(asked - {"query"})[0], question) is None
        for rule, asked in route.asked
    )


def about_somebody(rule: Rule) -> bool:
    """Whether the rule's match depends on who asks."""
    return bool(rule.users or rule.groups) or _ask_user(rule.hosts) or _ask_user(rule.paths)


@lru_cache(maxsize=1024)
def _criteria(asked: frozenset[str]) -> tuple[tuple[Criterion, ...], tuple[Criterion, ...]]:
    """Those of the request and those of who asks, among the criteria that a rule names."""
    of_request = tuple(one for one in OF_REQUEST if one.key in asked)
    return of_request, tuple(one for one in OF_SUBJECT if one.key in asked)


def _first_miss(rule: Rule, criteria: tuple[Criterion, ...], question: PolicyQuestion) -> Criterion | None:
    for criterion in criteria:
        if not criterion.holds(rule, question):
            return criterion
    return None


def judge(rule: Rule, question: PolicyQuestion) -> Decision:
    """What a rule that matches says: yes, no, or what is missing."""
    principal = question.principal
    if rule.require == "deny":
        return Decision(Verdict.DENY, rule.name, "rule_denies")
    if rule.require == "bypass":
        return Decision(Verdict.ALLOW, rule.name, "bypass")
    if principal is None:
        return Decision(Verdict.SIGN_IN, rule.name, "no_session")
    if principal.session.step_up:
        return Decision(
            verdict=Verdict.STEP_UP,
            rule=rule.name,
            reason="risk",
            factors=frozenset(rule.factors) - FIRST_FACTORS,
        )
    if rule.machine_suffices and MACHINE_PROOFS.intersection(principal.amr):
        return Decision(Verdict.ALLOW, rule.name, "machine_suffices")
    if not has_factors(rule, principal.amr):
        return _more_proof(rule, "factor")
    if rule.max_age and not is_fresh(rule, principal, question.now):
        return _more_proof(rule, "proof_too_old")
    return Decision(Verdict.ALLOW, rule.name, "policy_holds")


def _more_proof(rule: Rule, reason: str) -> Decision:
    """A second factor is proven on its own page; where only the password counts, signing in again is what helps."""
    accepted = frozenset(rule.factors)
    only_password = accepted <= FIRST_FACTORS if accepted else rule.require == "one_factor"
    return Decision(
        verdict=Verdict.SIGN_IN if only_password else Verdict.STEP_UP,
        rule=rule.name,
        reason=reason,
        factors=accepted,
    )


def has_factors(policy: Policy, amr: tuple[str, ...]) -> bool:
    """Whether the factors proven in a session meet the policy.

    two_factor needs two *different* factors; a list of factors needs one of them among those proven. A remembered
    device, or a second factor that a provider saw, counts only where neither certain factors nor their age matter.
    """
    return _enough(policy.require == "two_factor", policy.factors, bool(policy.max_age), amr)


@lru_cache(maxsize=1024)
def _enough(two: bool, accepted: tuple[str, ...], aged: bool, amr: tuple[str, ...]) -> bool:
    exact = bool(accepted) or aged or not two
    proven = set(amr) - (_BORROWED if exact else set())
    return _different(proven) >= (2 if two else 1) and (not accepted or bool(proven & set(accepted)))


def has_two(amr: Iterable[str]) -> bool:
    """Whether two different factors were proven here, none of them borrowed."""
    return _different(set(amr) - _BORROWED) >= 2


def _different(proven: set[str]) -> int:
    """A password and a provider's word are two first factors: together they are still one."""
    return len(proven - FIRST_FACTORS) + bool(proven & FIRST_FACTORS)


def is_fresh(policy: Policy, principal: Principal, now: float) -> bool:
    """Whether one of the factors that count was proven within `max_age`; of two factors, the second one counts."""
    counting = set(policy.factors) or (
        SECOND_FACTORS if policy.require == "two_factor" else SECOND_FACTORS | FIRST_FACTORS
    )
    proven = principal.session.proven_at.items()
    return any(factor in counting and now - at <= policy.max_age for factor, at in proven)


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
