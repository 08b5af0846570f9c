"""One's own sessions and remembered devices: look, and end them. Pages see digests of session ids, never the ids."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from gateway.authn.login_origin import LoginOrigin
from gateway.authn.remembered_devices import RememberedDevices
from gateway.authn.risk.geo import Geo
from gateway.model import Principal, SessionRecord
from gateway.observability.audit import Audit
from gateway.portal.rendering.user_agent import browser_name
from gateway.session import Sessions
from gateway.stores.protocols.core import SessionStore


@dataclass(frozen=True, slots=True)
class OwnSession:
    """A session or a remembered device as its owner sees it; `current` is the one that is looking."""

    id: str
    browser: str
    ip: str
    where: str
    """City and country, "" if unknown."""
    since: float
    last_used_at: float
    current: bool
    kept_until: float = 0.0
    """When a session ends that its user keeps; 0 for all others."""


class AccountSessions:
    """The sessions and remembered devices of whoever is signed in."""

    def __init__(
        self,
        layer: Sessions,
        records: SessionStore,
        devices: RememberedDevices,
        audit: Audit,
        geo: Geo,
    ) -> None:
        self._geo = geo
        self._layer, self._records, self._devices, self._audit = layer, records, devices, audit

    async def sessions(self, client: LoginOrigin, principal: Principal) -> Sequence[OwnSession]:
        """Last used first."""
        own = principal.session.sid
        places = [
            OwnSession(
                id=_digest(one.sid),
                browser=browser_name(one.user_agent),
                ip=one.ip,
                where=self._geo.place(one.ip, client.lang),
                since=one.created_at,
                last_used_at=one.last_seen,
                current=one.sid == own,
                kept_until=self._layer.expiry.lifetimes.ends_at(one, one.last_seen) if one.kept else 0.0,
            )
            for one in await self._records.list(principal.username)
        ]
        return sorted(places, key=lambda place: (not place.current, -place.last_used_at))

    async def devices(self, client: LoginOrigin, principal: Principal) -> Sequence[OwnSession]:
        """Return the browsers that skip the second factor."""
        current = self._devices.current(client.cookies, principal.username)
        return [
            OwnSession(
                id=one.id,
                browser=browser_name(one.user_agent),
                ip=one.ip,
                where=self._geo.place(one.ip, client.lang),
                since=one.created_at,
                last_used_at=one.last_used_at,
                current=one.id == current,
            )
            for one in await self._devices.store.list(principal.username)
        ]

    async def end(self, client: LoginOrigin, principal: Principal, id: str) -> bool:
        """End one of the user's own sessions, True if there was one."""
        record = next((one for one in await self._mine(principal) if _digest(one.sid) == id), None)
        if record is None:
            return False
        await self._layer.end(record.sid)
        self._audit.record("session_revoked", principal.username, client.ip, sid=record.sid[:8])
        return True

    async def end_others(self, client: LoginOrigin, principal: Principal, keep: str) -> int:
        """End all sessions of the user but `keep`; returns how many."""
        count = await self._layer.end_others(principal.username, keep)
        if count:
            self._audit.record("session_revoked", principal.username, client.ip, count=count)
        return count

    async def forget_device(self, client: LoginOrigin, principal: Principal, id: str) -> bool:
        return await self._devices.revoke(principal.username, id, client.ip)

    async def _mine(self, principal: Principal) -> Sequence[SessionRecord]:
        return await self._records.list(principal.username)


def _digest(sid: str) -> str:
    return sha256(f"shown:{sid}".encode()).hexdigest()[:32]
