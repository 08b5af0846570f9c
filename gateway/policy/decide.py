"""Decides, purely: which route does a target have, and may this principal have it? Deny by default.

The first route that fits counts; none means that the host or path is unknown. Its rules are asked in order: the first
whose criteria all match decides; if none does, no. A path that an app could read in several ways must have the same
route, and the same answer of its rules, in all of them.
No I/O and no clock here: the same functions serve the proxy, forward-auth and `check --explain`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import get_args

from gateway.config.path_readings import readings
from gateway.config.patterns import host_matches, path_matches
from gateway.config.schema import FactorName, Policy, Route, Rule
from gateway.model import Decision, Principal, SessionRecord, Target, Verdict
from gateway.policy.criteria import (
    LONGEST_REMEMBERED,
    Criterion,
    PolicyQuestion,
    about_somebody,
    criteria_of,
)
from gateway.policy.key_models import has_key_model
from gateway.policy.queries import query_readings

EMAIL_LINK = "email_link"
FIRST_FACTORS = frozenset({"password", "federated", EMAIL_LINK})
SECOND_FACTORS = frozenset(get_args(FactorName)) - FIRST_FACTORS
KEYS = frozenset({"webauthn"})
"""What a rule that asks for models of security keys is met by."""
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
RECENT = 900.0
"""Seconds for which a second factor counts as just proven."""
PREFLIGHT = "cors_preflight"
"""The reason of a decision that lets a CORS preflight pass, for nobody."""

_readings = lru_cache(maxsize=8192)(readings)


class Routes:
    """The configured routes, with the candidates of each host found once."""

    def __init__(
        self, routes: Sequence[Route], domains: Sequence[str] = (), *, portal: str = "", base: str = ""
    ) -> None:
        """Prepare the routes.

        Args:
            routes: in the order in which they are tried.
            domains: those whose hosts are ours even where only a route for "*" serves them.
            portal: the host of `server.public_url`.
            base: its path, where another proxy has the rest of that host; else "".
        """
        self.all, self._domains = tuple(routes), tuple(domains)
        self._portal, self._base = portal, base
        self._by_host: dict[str, tuple[Route, ...]] = {}
        self._remembered = lru_cache(maxsize=1024)(self._find)

    def find(self, target: Target) -> Route | None:
        """Return the route of a target, None if there is none.

        None, too, for a path that an app could read as that of another route: which rules hold is not guessed.
        """
        if len(target.path) > LONGEST_REMEMBERED:
            return self._find(target.host, target.path)
        return self._remembered(target.host, target.path)

    def _find(self, host: str, path: str) -> Route | None:
        found, *others = (self.match(host, path) for path in readings(path))
        return found if all(other is found for other in others) else None

    def match(self, host: str, path: str) -> Route | None:
        """The route of a lower-case host and a canonical path."""
        for route in self.candidates(host):
            if path_matches(route.path, path):
                return route
        return None

    def front(self, host: str) -> str:
        """Return the path of a host's front page: "/", but that of `public_url` where only that is ours."""
        return f"{self._base}/" if host == self._portal else "/"

    def is_ours(self, host: str, path: str) -> bool:
        """Whether requests for this path come to us. Beside the path of `public_url` are another proxy's own apps,
        except those that a route names: it asks us about them.
        """
        if not self._base or host != self._portal:
            return True
        return path_matches(self._base, path) or self.match(host, path) is not None

    def serves_host(self, host: str) -> bool:
        """Whether any route, also one for "*", is for this host."""
        return bool(self.candidates(host))

    def knows_host(self, host: str) -> bool:
        """Whether a return URL may lead there: a host named by a route. "*" names none."""
        if any(route.host != "*" and host_matches(route.host, host) for route in self.all):
            return True
        ours = any(host == domain or host.endswith(f".{domain}") for domain in self._domains)
        return ours and bool(self.candidates(host))

    def candidates(self, host: str) -> tuple[Route, ...]:
        """The routes of a lower-case host, in the order in which they are asked."""
        known = self._by_host.get(host)
        if known is None:
            known = tuple(route for route in self.all if host_matches(route.host, host))
            if len(self._by_host) < 1024:  # hosts come from outside: never grow without bound
                self._by_host[host] = known
        return known


def decide(
    route: Route, target: Target, principal: Principal | None, now: float, *, preflight: bool = False
) -> Decision:
    """What the route's rules say at `now` (Unix seconds).

    `preflight`: the request is a CORS preflight. Browsers send those without cookies, so nobody could ever sign in for
    one; a route with `cors_preflight` lets it pass. What its rules deny stays denied.
    """
    decision = _of_every_path(route, target, principal, now)
    if preflight and route.cors_preflight and decision.verdict is Verdict.SIGN_IN:
        return replace(decision, verdict=Verdict.ALLOW, reason=PREFLIGHT)
    return decision


def _of_every_path(route: Route, target: Target, principal: Principal | None, now: float) -> Decision:
    """A path that an app could read as another one must get the same answer as both."""
    path = target.path
    paths = _readings(path) if len(path) <= LONGEST_REMEMBERED else readings(path)
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
        of_request, of_subject = criteria_of(asked)
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
        "query" in asked and _first_miss(rule, criteria_of(asked - {"query"})[0], question) is None
        for rule, asked in route.asked
    )


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
    if rule.key_models and not has_key_model(rule, principal, question.now):
        models = frozenset(rule.key_models)
        return Decision(
            verdict=Verdict.STEP_UP,
            rule=rule.name,
            reason="key_model",
            factors=KEYS,
            key_models=models,
        )
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
    """A password and a provider's word are two first factors: together they are still one. So are a link and a code
    that went to one mailbox.
    """
    second = proven - FIRST_FACTORS - ({"email"} if by_mailbox_alone(proven) else set())
    return len(second) + bool(proven & FIRST_FACTORS)


def by_mailbox_alone(amr: Iterable[str]) -> bool:
    """Whether the only first factor is a link to a mailbox."""
    return FIRST_FACTORS.intersection(amr) == {EMAIL_LINK}


def proven_recently(session: SessionRecord, now: float) -> bool:
    """Whether the session has two factors and proved a second one just now; neither a remembered device nor an
    approval proves one."""
    at = max((session.proven_at.get(factor, 0.0) for factor in OWN_FACTORS), default=0.0)
    return has_two(session.amr) and now - at <= RECENT


def is_fresh(policy: Policy, principal: Principal, now: float) -> bool:
    """Whether one of the factors that count was proven within `max_age`; of two factors, the second one counts."""
    counting = set(policy.factors) or (
        SECOND_FACTORS if policy.require == "two_factor" else SECOND_FACTORS | FIRST_FACTORS
    )
    proven = principal.session.proven_at.items()
    return any(factor in counting and now - at <= policy.max_age for factor, at in proven)
