"""Which rule decides about a request, and why: what `check --explain` prints. It asks the rules that `decide` asks."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from gateway.config.schema import Route, Rule
from gateway.model import Decision, Principal, Target
from gateway.policy.criteria import CRITERIA, Criterion, PolicyQuestion
from gateway.policy.decide import decide, has_factors, is_fresh
from gateway.policy.key_models import has_key_model
from gateway.policy.queries import query_readings, query_words


@dataclass(frozen=True, slots=True)
class CriterionExplanation:
    """One criterion or demand of one rule: what the rule wants, what the request has."""

    criterion: str
    wants: str
    has: str
    holds: bool


@dataclass(frozen=True, slots=True)
class RuleExplanation:
    """One rule with each of its criteria."""

    rule: str
    require: str
    answers: tuple[CriterionExplanation, ...]
    demands: tuple[CriterionExplanation, ...]
    """What a request that matches must have proven."""
    decides: bool

    @property
    def matches(self) -> bool:
        return all(answer.holds for answer in self.answers)


@dataclass(frozen=True, slots=True)
class Explanation:
    """All rules that were asked, and the decision."""

    decision: Decision
    rules: tuple[RuleExplanation, ...]


def explain(route: Route, target: Target, principal: Principal | None, now: float) -> Explanation:
    """Explain the decision that `decide` makes at `now` (Unix seconds)."""
    queries = query_readings(target.query, route.query_names)
    question = PolicyQuestion(
        target=target, principal=principal, now=now, query=queries[0] if queries else {}
    )
    decision = decide(route, target, principal, now)
    return Explanation(decision, tuple(_ask(rule, question, decision) for rule in route.access))


def _ask(rule: Rule, question: PolicyQuestion, decision: Decision) -> RuleExplanation:
    answers = tuple(_answer(rule, one, question) for one in CRITERIA if one.asked_by(rule))
    return RuleExplanation(
        rule=rule.name,
        require=rule.require,
        answers=answers,
        demands=tuple(_demands(rule, question)),
        decides=decision.rule == rule.name,
    )


def _demands(rule: Rule, question: PolicyQuestion) -> Iterator[CriterionExplanation]:
    principal = question.principal
    if rule.require in ("bypass", "deny"):
        return
    proven = ", ".join(principal.amr) if principal else "no session"
    any_factors = rule.model_copy(update={"factors": ()})
    yield CriterionExplanation(
        criterion="require",
        wants=rule.require,
        has=proven,
        holds=principal is not None and has_factors(any_factors, principal.amr),
    )
    if rule.factors:
        yield CriterionExplanation(
            criterion="factors",
            wants=", ".join(rule.factors),
            has=proven,
            holds=not _lacks(rule.factors, principal),
        )
    if rule.key_models:
        used = ", ".join(principal.session.key_models) if principal else ""
        yield CriterionExplanation(
            criterion="key_models",
            wants=", ".join(rule.key_models),
            has=used or "no key that anybody vouches for",
            holds=principal is not None and has_key_model(rule, principal, question.now),
        )
    if rule.max_age:
        fresh = principal is not None and is_fresh(rule, principal, question.now)
        yield CriterionExplanation(
            criterion="max_age", wants=f"{rule.max_age:g} s", has=_ages(principal, question.now), holds=fresh
        )


def _lacks(factors: tuple[str, ...], principal: Principal | None) -> bool:
    return principal is None or set(factors).isdisjoint(principal.amr)


def _ages(principal: Principal | None, now: float) -> str:
    proven = principal.session.proven_at.items() if principal else ()
    return ", ".join(f"{factor} {now - at:.0f} s ago" for factor, at in proven)


def _answer(rule: Rule, criterion: Criterion, question: PolicyQuestion) -> CriterionExplanation:
    holds = criterion.holds(rule, question)
    return CriterionExplanation(
        criterion=criterion.key,
        wants=_wanted(rule, criterion.key),
        has=_had(rule, criterion.key, question),
        holds=holds,
    )


def _wanted(rule: Rule, key: str) -> str:
    if key == "query":
        return query_words(rule.query)
    if key == "attributes":
        return attribute_words(rule.attributes)
    if key != "times":
        return ", ".join(map(str, getattr(rule, key)))
    times = rule.times
    return " ".join((*times.days, *times.hours, times.timezone))


def attribute_words(attributes: Mapping[str, Sequence[str]]) -> str:
    """Return attributes in a line, as `department=ops|dev, site=berlin`."""
    return ", ".join(f"{name}={'|'.join(values)}" for name, values in attributes.items())


def _had(rule: Rule, key: str, question: PolicyQuestion) -> str:
    target, principal = question.target, question.principal
    match key:
        case "hosts":
            return target.host
        case "paths":
            return target.path
        case "query":
            return ", ".join(f"{name}={value}" for name, value in question.query.items())
        case "methods":
            return target.method
        case "networks":
            return str(target.client)
        case "countries":
            return target.country or "unknown"
        case "users":
            return principal.username if principal else "nobody"
        case "groups":
            return ", ".join(principal.groups) if principal else "nobody"
        case "attributes":
            return attribute_words(dict(principal.user.attributes)) if principal else "nobody"
    return datetime.fromtimestamp(question.now, ZoneInfo(rule.times.timezone)).strftime("%a %H:%M %Z").lower()
