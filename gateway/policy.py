"""Decides, purely: may this principal have this target? Deny by default.

No I/O and no clock here: the same function serves the proxy, forward-auth and `check --explain`.
"""

from gateway.config.schema import Policy, Route
from gateway.model import Decision, Principal, Target, Verdict

FIRST_FACTORS = frozenset({"password"})


def decide(route: Route, target: Target, principal: Principal | None) -> Decision:
    """What the route's policy says. Anonymous callers are sent to sign in only where signing in could help."""
    policy, rule = route.policy, route.label

    def answer(verdict: Verdict, reason: str, factors: frozenset[str] = frozenset()) -> Decision:
        return Decision(verdict, rule, reason, factors)

    if policy.require == "deny":
        return answer(Verdict.DENY, "rule_denies")
    if policy.methods and target.method not in policy.methods:
        return answer(Verdict.DENY, "method")
    if policy.networks and not any(target.client in network for network in policy.networks):
        return answer(Verdict.DENY, "network")
    if policy.require == "bypass":
        return answer(Verdict.ALLOW, "bypass")
    if principal is None:
        return answer(Verdict.SIGN_IN, "no_session")
    if policy.users and principal.username not in policy.users:
        return answer(Verdict.DENY, "user")
    if policy.groups and not set(policy.groups) & set(principal.groups):
        return answer(Verdict.DENY, "group")
    if not has_factors(policy, principal.amr):
        return answer(Verdict.STEP_UP, "factor", frozenset(policy.factors))
    return answer(Verdict.ALLOW, "policy_holds")


def has_factors(policy: Policy, amr: tuple[str, ...]) -> bool:
    """Whether the factors proven in a session meet the policy.

    two_factor needs two *different* factors; a list of factors needs one of them among those proven.
    """
    proven = set(amr)
    enough = len(proven) >= (2 if policy.require == "two_factor" else 1)
    return enough and (not policy.factors or bool(proven & set(policy.factors)))
