"""Registers the keys of browsers that sessions are bound to, and renews bound cookies for proofs with them.

A challenge counts once, across all workers and replicas. That a proof is wrong is noted; that its challenge is old is
not: browsers try again with the last one that they heard of.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from urllib.parse import urlsplit

from gateway.model import Principal, SessionRecord, Target
from gateway.session.device_binding import CHALLENGE_LIFETIME, REFRESHING, REGISTERING, DeviceBinding
from gateway.session.device_proof import DeviceProof, challenge_in, read_refresh, read_registration
from gateway.session.sessions import Sessions
from gateway.stores.protocols.core import DeviceKeys
from gateway.stores.protocols.ledger import Ledger


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a proof does not count: `no_session`, `has_key`, `stale` (another challenge is wanted) or `wrong`."""

    cause: str


class KeyRegistry:
    """Judges proofs. Methods raise StoreUnavailable."""

    def __init__(
        self,
        sessions: Sessions,
        keys: DeviceKeys,
        ledger: Ledger,
        *,
        token: Callable[[], str] = secrets.token_urlsafe,
    ) -> None:
        self._sessions, self._keys, self._ledger, self._token = sessions, keys, ledger, token

    @property
    def binding(self) -> DeviceBinding:
        return self._sessions.devices

    async def register(
        self, principal: Principal | None, field: str, here: Target
    ) -> tuple[SessionRecord, str] | Refused:
        """Bind a session to the key that signed this Secure-Session-Response; also return the algorithm."""
        if principal is None:
            return Refused("no_session")
        if principal.session.device_id:
            return Refused("has_key")
        proof = read_registration(field)
        if proof is None:
            return Refused("wrong")
        cause = await self._refusal(proof, here, REGISTERING, principal.session.sid)
        if cause:
            return Refused(cause)
        device_id = self._token()
        if not await self._keys.bind(principal.session.sid, device_id, proof.key):
            return Refused("has_key")
        self._sessions.forget_user(principal.username)
        record = await self._keys.bound_to(device_id)
        return (record, proof.algorithm) if record is not None else Refused("no_session")

    async def session_of(self, device_id: str) -> Principal | None:
        """Whose living session is bound to the key of this id, None if none is."""
        record = await self._keys.bound_to(device_id)
        return await self._sessions.look_up(record.sid) if record is not None else None

    async def refresh(self, record: SessionRecord, field: str, here: Target) -> Refused | None:
        """Say whether this Secure-Session-Response proves the key of a session; None if it does."""
        # The cheap look comes first: what nobody here has asked for costs no check of a signature.
        if not self.binding.accepts(challenge_in(field), REFRESHING, record.device_id):
            return Refused("stale")
        proof = read_refresh(field, record.device_key)
        if proof is None:
            return Refused("wrong")
        cause = await self._refusal(proof, here, REFRESHING, record.device_id)
        return Refused(cause) if cause else None

    async def _refusal(self, proof: DeviceProof, here: Target, purpose: str, of: str) -> str:
        """Why a proof does not count `here`, "" if it does: then its challenge is used up."""
        if proof.audience and not _is(proof.audience, here):
            return "wrong"
        if not self.binding.accepts(proof.challenge, purpose, of):
            return "stale"
        used = f"device-challenge:{sha256(proof.challenge.encode()).hexdigest()}"
        return "" if await self._ledger.claim_once(used, CHALLENGE_LIFETIME) else "stale"


def _is(address: str, here: Target) -> bool:
    """Whether a proof is meant for this very endpoint. Browsers that say nothing of it are held by the challenge."""
    try:
        said = urlsplit(address)
        return (said.hostname or "").lower() == here.host and said.path == here.path
    except ValueError:
        return False
