"""Decides what stands between a user and an app: the app's policy, and what this request asks beyond it. Pure.

Nothing here weakens the policy: a request can only ask for more (a stronger factor, a fresher proof).
"""

from dataclasses import replace

from gateway.config.schema import FactorName, Policy
from gateway.model import Decision, Principal, Target, Verdict
from gateway.oidc.authorization_request import SignInRequest
from gateway.oidc.clients import Client
from gateway.oidc.session_names import PHISHING_RESISTANT, TWO_FACTORS
from gateway.policy.decide import FIRST_FACTORS, SECOND_FACTORS, decide

_AT_ONCE = 0.001
"""Stands for "now" as an age, since an age of 0 means that any will do."""


def judge(
    app: Client, request: SignInRequest | None, here: Target, principal: Principal | None, now: float
) -> Decision:
    """Decide at `now` (Unix time) as for a route; without a request (device flow) by the app's policy alone."""
    policy = app.settings.policy if request is None else sharpened(app.settings.policy, request, now)
    asked = replace(here, method="GET")
    decision = decide(app.route(policy), asked, principal, now)
    signed_in = principal is not None and decision.verdict in (Verdict.ALLOW, Verdict.STEP_UP)
    if (
        request is not None
        and principal is not None
        and signed_in
        and not _signed_in_since(principal, request)
    ):
        return Decision(Verdict.SIGN_IN, decision.rule, "login_asked_for")
    return decision


def sharpened(policy: Policy, request: SignInRequest, now: float) -> Policy:
    """Return the policy with what `acr_values`, `max_age` and `prompt` ask for in addition. `now` is a Unix time."""
    more: dict[str, object] = {}
    if request.acr in (TWO_FACTORS, PHISHING_RESISTANT) and policy.require != "deny":
        wanted = {"webauthn"} if request.acr == PHISHING_RESISTANT else set(SECOND_FACTORS)
        # An app may ask for a passkey where the policy has other factors. Then nothing fits both, and the policy's
        # stay: acr_values is a wish (Core §3.1.2.1), and the id token says what was proven in the end.
        both = wanted & set(policy.factors) if policy.factors else wanted
        more = {"require": "two_factor", "factors": _names(both) or policy.factors}
    if request.proof_since:
        age = max(now - request.proof_since, _AT_ONCE)
        more["max_age"] = min(age, policy.max_age) if policy.max_age else age
    return policy.model_copy(update=more)


def _signed_in_since(principal: Principal, request: SignInRequest) -> bool:
    """Whether a first factor or a passkey was given after the app asked for a new sign-in."""
    proven = principal.session.proven_at
    return max(proven.get(factor, 0.0) for factor in (*FIRST_FACTORS, "webauthn")) >= request.login_since


def _names(factors: set[str]) -> tuple[FactorName, ...]:
    return tuple(sorted(factors))  # type: ignore[arg-type]  # a subset of the policy's own names
