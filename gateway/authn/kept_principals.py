"""The principals that one credential has stood for lately.

What is made for a principal, above all its signed assertion, is made again for each new one: a token that calls once a
millisecond must not cost a signature each time.
"""

from gateway.model import Principal, SessionRecord, User

KEPT = 30.0
"""Seconds for which one proof stands for all requests with the same credential."""
_ADDRESSES = 64


class KeptPrincipals:
    """Lives with the credential's entry in the `VerifiedCache`, so that it is forgotten with it."""

    __slots__ = ("_by_slot", "_since")

    def __init__(self) -> None:
        self._since = float("-inf")
        self._by_slot: dict[tuple[str, str], Principal] = {}

    def get(self, user: User, factor: str, sid: str, ip: str, now: float) -> Principal:
        """The principal of a request from `ip`; those of one half minute say the same of when it was proven."""
        if not 0 <= now - self._since < KEPT or len(self._by_slot) >= _ADDRESSES:
            self._since = now
            self._by_slot.clear()
        slot = (sid, ip)
        known = self._by_slot.get(slot)
        if known is None or known.user is not user:
            known = self._by_slot[slot] = proven_now(user, factor, sid, ip, self._since)
        return known


def proven_now(user: User, factor: str, sid: str, ip: str, now: float) -> Principal:
    """Who shows one credential, without a session that is kept anywhere."""
    return Principal(
        user,
        SessionRecord(
            sid=sid,
            username=user.username,
            amr=(factor,),
            proven_at={factor: now},
            created_at=now,
            last_seen=now,
            expires_at=now,
            ip=ip,
        ),
    )
