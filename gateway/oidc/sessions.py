"""What a session is called towards apps: a name that stays while the session's id changes with each proof.

The cookie's session id never leaves the gateway in a token. Pure.
"""

from collections.abc import Sequence
from hashlib import sha256

from gateway.model import Principal
from gateway.policy import DEVICE, MACHINE_PROOFS

ONE_FACTOR, TWO_FACTORS, PHISHING_RESISTANT = "1fa", "2fa", "phr"
ACR_VALUES = (ONE_FACTOR, TWO_FACTORS, PHISHING_RESISTANT)
"""Authentication contexts. "phr" is the name that OpenID's EAP ACR Values 1.0 gives to phishing-resistant proof."""

# RFC 8176 §2 has names for these.
_METHODS = {
    "password": ("pwd",), "sms": ("otp", "sms"), "email": ("otp",), "totp": ("otp",),
    "webauthn": ("hwk",), "recovery": ("otp",), "user_verification": ("user",),
}  # fmt: skip


def session_name(username: str, started: float) -> str:
    """The `sid` of id tokens and logout tokens (OpenID Connect Back-Channel Logout 1.0 §2.1)."""
    return sha256(f"oidc-session:{started!r}:{username}".encode()).hexdigest()[:32]


def methods(amr: Sequence[str]) -> list[str]:
    """The `amr` claim: the registered names of what was proven, and `mfa` where that was two different things."""
    names = [name for factor in amr for name in _METHODS.get(factor, ())]
    return list(dict.fromkeys([*names, "mfa"] if _count(amr) > 1 else names))


def context(principal: Principal) -> str:
    """The `acr` claim: the highest context that this session meets."""
    proven = set(principal.amr)
    if "webauthn" in proven:
        return PHISHING_RESISTANT
    return TWO_FACTORS if _count(principal.amr) > 1 else ONE_FACTOR


def _count(amr: Sequence[str]) -> int:
    """A remembered device proves nothing now, so it is no second factor towards an app."""
    return len(set(amr) - {DEVICE} - MACHINE_PROOFS)
