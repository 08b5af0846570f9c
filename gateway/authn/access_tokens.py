"""What a route that takes access tokens says of itself (RFC 9728), and the challenges of RFC 6750 and RFC 9470.

The tokens are those of our own OpenID provider, which reads them (`ReadsAccessTokens`); without one none counts.
"""

from gateway.authn.api_credentials import basic_challenge
from gateway.authn.shown_credentials import NotAccepted
from gateway.config.schema import Route
from gateway.model import Decision, Principal, Target, Verdict

WELL_KNOWN = "/.well-known/oauth-protected-resource"
SESSION = "oauth:"
"""Begins the id of what stands for a session where an access token was shown."""


class InsufficientScope(NotAccepted):
    """The token is right, but its user did not let the app do this (RFC 6750 §3.1)."""

    status = 403


def resource_of(route: Route, target: Target) -> str:
    """Return what tokens for a route are called in `aud`: its address at this host (RFC 8707 §2)."""
    return f"{target.scheme}://{target.authority}{route.path.rstrip('/')}"


def bearer_challenge(route: Route, target: Target, *, error: str = "", more: str = "") -> str:
    """Return the WWW-Authenticate challenge that leads a program to the sign-in (RFC 6750 §3, RFC 9728 §5.1)."""
    place = f"{target.scheme}://{target.authority}{WELL_KNOWN}{route.path.rstrip('/')}"
    parts = [f'error="{error}"'] if error else []
    parts.append(f'resource_metadata="{place}"')
    if route.oauth is not None and route.oauth.scopes:
        parts.append(f'scope="{" ".join(route.oauth.scopes)}"')
    return f"Bearer {', '.join(parts)}{more}"


def ways_in(route: Route, target: Target, decision: Decision, principal: Principal | None) -> str:
    """Return what a program that may not pass is offered beside our pages, for WWW-Authenticate; "" for nothing."""
    offers = [basic_challenge(target)] if route.basic and decision.verdict is Verdict.SIGN_IN else []
    if route.oauth is not None and decision.verdict is not Verdict.DENY:
        offers.append(_for_tokens(route, target, decision, principal))
    return ", ".join(offers)


def _for_tokens(route: Route, target: Target, decision: Decision, principal: Principal | None) -> str:
    if principal is None or not principal.session.sid.startswith(SESSION):
        return bearer_challenge(route, target)
    # RFC 9470 §3: the token is good, what was proven for it is too little or too long ago.
    ages = [rule.max_age for rule in route.access if rule.max_age]
    more = ', acr_values="2fa"' if decision.verdict is Verdict.STEP_UP else ""
    more += f', max_age="{int(min(ages))}"' if ages else ""
    return bearer_challenge(route, target, error="insufficient_user_authentication", more=more)
