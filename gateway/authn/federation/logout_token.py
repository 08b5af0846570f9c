"""What a logout token of a provider must say to end sessions here (OpenID Connect Back-Channel Logout 1.0 §2.6). Pure.

Its signature is checked before.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.authn.federation.base import NotSignedIn
from gateway.authn.federation.claims import is_subject

EVENT = "http://schemas.openid.net/event/backchannel-logout"
LEEWAY = 60
OLDEST = 86400
"""Seconds that a token may live: so long is remembered which ones were taken."""
_TYPES = ("logout+jwt", "application/logout+jwt", "jwt")


@dataclass(frozen=True, slots=True)
class LogoutNotice:
    """Whose sessions end: those of the provider's session `sid`, or without one all of the account `subject`; "" for
    what is not said, but never both. `id` is the token's, which counts once until `until` (Unix time).
    """

    id: str
    subject: str
    sid: str
    until: float


def read_notice(
    header: Mapping[str, Any], claims: Mapping[str, Any], *, issuer: str | None, client_id: str, now: float
) -> LogoutNotice:
    """Return what a token of the provider says. Raises NotSignedIn, naming all that is wrong."""
    subject, sid, id = claims.get("sub"), claims.get("sid"), claims.get("jti")
    audience = claims.get("aud")
    issued, until = _time(claims.get("iat")), _time(claims.get("exp"))
    events = claims.get("events")
    sound = {
        # Any other kind of token that the provider signs for us must not pass for one (RFC 8725 §3.11).
        "typ": header.get("typ") is None or str(header["typ"]).lower() in _TYPES,
        "iss": issuer is not None and claims.get("iss") == issuer,
        "aud": client_id in (audience if isinstance(audience, list) else [audience]),
        "iat": now - OLDEST < issued < now + LEEWAY,
        "exp": now - LEEWAY < until <= now + OLDEST,
        "jti": is_subject(id),
        "events": isinstance(events, dict) and isinstance(events.get(EVENT), dict),
        "nonce": "nonce" not in claims,
        "sub": is_subject(subject) if "sub" in claims else is_subject(sid),
        "sid": is_subject(sid) if "sid" in claims else is_subject(subject),
    }
    if wrong := [name for name, holds in sound.items() if not holds]:
        raise NotSignedIn(f"the logout token has a wrong {', '.join(wrong)}")
    return LogoutNotice(id=str(id), subject=str(subject or ""), sid=str(sid or ""), until=until + LEEWAY)


def _time(value: Any) -> float:
    """Return a time in Unix seconds, which for what is none is long ago."""
    return float(value) if isinstance(value, int | float) else float("-inf")
