"""Names a session towards apps by what stays while its id changes with each proof. Pure.

The cookie's session id never leaves the gateway in a token.
"""

from collections.abc import Sequence
from hashlib import sha256

from gateway.model import Principal
from gateway.policy.decide import has_two

ONE_FACTOR, TWO_FACTORS, PHISHING_RESISTANT = "1fa", "2fa", "phr"
ACR_VALUES = (ONE_FACTOR, TWO_FACTORS, PHISHING_RESISTANT)
"""Authentication contexts. "phr" is the name that OpenID's EAP ACR Values 1.0 gives to phishing-resistant proof."""

# Names of RFC 8176 §2; it has none for another provider's word, which Microsoft Entra calls "fed".
_METHODS = {
    "password": ("pwd",),
    "sms": ("otp", "sms"),
    "email": ("otp",),
    "totp": ("otp",),
    "webauthn": ("hwk",),
    "recovery": ("otp",),
    "user_verification": ("user",),
    "federated": ("fed",),
    "email_link": ("otp",),
    "approval": ("mca",),
    "bypass": ("otp",),
}


def session_name(username: str, started: float) -> str:
    """Return the `sid` of id tokens and logout tokens (OpenID Connect Back-Channel Logout 1.0 §2.1).

    `started` is when the session began (Unix time): that stays, while the session's id changes with each proof.
    """
    return sha256(f"oidc-session:{started!r}:{username}".encode()).hexdigest()[:32]


def methods(amr: Sequence[str]) -> list[str]:
    """Return the `amr` claim (RFC 8176): what was proven, and `mfa` where that was two different things."""
    names = [name for factor in amr for name in _METHODS.get(factor, ())]
    return list(dict.fromkeys([*names, "mfa"] if has_two(amr) else names))


def context(principal: Principal) -> str:
    """Return the `acr` claim: the highest context that this session meets.

    Only what was proven here counts: a remembered device or another provider's second factor is no second factor
    towards an app.
    """
    return met(principal, ACR_VALUES)


def met(principal: Principal, wanted: Sequence[str]) -> str:
    """Return the highest of these contexts that the session meets, "" for none."""
    reached = {
        PHISHING_RESISTANT: "webauthn" in principal.amr,
        TWO_FACTORS: has_two(principal.amr),
        ONE_FACTOR: True,
    }
    return next((name for name, holds in reached.items() if holds and name in wanted), "")
