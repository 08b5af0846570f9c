"""Ends sessions, forgets remembered devices and takes second factors away, on behalf of an administrator."""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from gateway.admin.actor import Actor
from gateway.admin.safeguards import check_own_factors
from gateway.admin.services import AdminServices
from gateway.authn.factors.bypass import Bypasses
from gateway.authn.factors.phone_lines import SECOND_PHONE
from gateway.authn.factors.removal import OWNED, FactorRemoval
from gateway.messaging.addresses import mask_email, mask_phone
from gateway.model import SessionRecord, User, shown_id
from gateway.portal.rendering.texts import FACTOR_LABELS
from gateway.portal.rendering.user_agent import browser_name
from gateway.stores.protocols.session_search import Alive


@dataclass(frozen=True, slots=True)
class Seat:
    """A session as administrators see it. `id` is a digest, since the session's own id would open it."""

    id: str
    username: str
    browser: str
    ip: str
    country: str
    factors: tuple[str, ...]
    created_at: float
    last_seen: float
    expires_at: float
    kept: bool = False
    own: bool = False


@dataclass(frozen=True, slots=True)
class HeldDevice:
    """A remembered device as administrators see it."""

    id: str
    browser: str
    ip: str
    created_at: float
    last_used_at: float


@dataclass(frozen=True, slots=True)
class HeldFactor:
    """A second factor as administrators see it. `id` is the credential's, or the kind where there is just one."""

    id: str
    kind: str
    name: str
    detail: str = ""
    created_at: float = 0.0
    last_used_at: float = 0.0


class Accesses:
    """What gives a user access, and ending it."""

    def __init__(self, admin: AdminServices) -> None:
        self._services, self._geo = admin.services, admin.services.authn.geo
        self._audit, self._seats = admin.services.audit, admin.seats
        # To look and to revoke; codes are made by the command.
        self._bypasses = Bypasses(self._services.stores.ledger, list)
        self._taking = FactorRemoval(
            self._services.authn.factors.credentials, self._bypasses, self._services.users.writable
        )

    # -- sessions ------------------------------------------------------------------------------------------------------

    async def sessions(
        self, actor: Actor, username: str = "", *, limit: int, skip: int = 0, after: str = ""
    ) -> Sequence[Seat]:
        """Last used first; what has expired but was not swept yet is left out.

        `after` is the id of the session that the page before ended with; from the first on if that has ended.
        """
        last = await self._seats.shown(after) if after else None
        found = await self._seats.newest(self._alive(username), limit, skip=skip, after=last)
        return [self._seat(actor, one) for one in found]

    async def count_sessions(self, username: str = "") -> int:
        return await self._seats.count(self._alive(username))

    def _alive(self, username: str) -> Alive:
        return Alive(self._services.clock(), self._services.config.session.lifetimes, username)

    def _seat(self, actor: Actor, one: SessionRecord) -> Seat:
        return Seat(
            id=shown_id(one.sid),
            username=one.username,
            browser=browser_name(one.user_agent),
            ip=one.ip,
            country=self._country(one.ip),
            factors=one.amr,
            created_at=one.created_at,
            last_seen=one.last_seen,
            expires_at=one.expires_at,
            kept=one.kept,
            own=one.sid == actor.sid,
        )

    def _country(self, ip: str) -> str:
        try:
            return self._geo.locate(ip_address(ip)).country
        except ValueError:  # sessions of other versions, or none
            return ""

    async def end(self, actor: Actor, id: str) -> bool:
        """End one session, True if there was one."""
        record = await self._seats.shown(id)
        if record is None:
            return False
        await self._services.sessions.end(record.sid)
        self._audit.record(
            "session_revoked", record.username, actor.ip, by=actor.name, sid=record.sid[:8], count=1
        )
        return True

    async def end_all(self, actor: Actor, username: str) -> int:
        """End all sessions of a user but the actor's own; returns how many."""
        count = await self._services.sessions.end_others(username, actor.sid)
        if count:
            self._audit.record("session_revoked", username, actor.ip, by=actor.name, count=count)
        return count

    # -- devices -------------------------------------------------------------------------------------------------------

    async def devices(self, username: str) -> Sequence[HeldDevice]:
        """Return the browsers that are remembered of a user."""
        return [
            HeldDevice(
                id=one.id,
                browser=browser_name(one.user_agent),
                ip=one.ip,
                created_at=one.created_at,
                last_used_at=one.last_used_at,
            )
            for one in await self._services.authn.devices.store.list(username)
        ]

    async def forget_devices(self, actor: Actor, username: str) -> int:
        """Forget all browsers of a user; return how many there were."""
        count = await self._services.authn.devices.store.remove_for_user(username)
        if count:
            self._audit.record("device_revoked", username, actor.ip, by=actor.name, count=count)
        return count

    # -- factors -------------------------------------------------------------------------------------------------------

    async def factors(self, user: User) -> Sequence[HeldFactor]:
        """Return the second factors of a user, as administrators may see them: never a secret or a whole number."""
        found: list[HeldFactor] = []
        held = await self._services.authn.factors.credentials.list(user.username)
        for one in held:
            if one.kind in OWNED:
                found.append(
                    HeldFactor(
                        id=one.id,
                        kind=one.kind,
                        name=one.name,
                        detail=FACTOR_LABELS[one.kind],
                        created_at=one.created_at,
                        last_used_at=one.last_used_at,
                    )
                )
        if user.phone:
            found.append(
                HeldFactor(id="sms", kind="sms", name=FACTOR_LABELS["sms"], detail=mask_phone(user.phone))
            )
        for one in held:
            if one.kind == SECOND_PHONE:
                label = FACTOR_LABELS[SECOND_PHONE]
                found.append(
                    HeldFactor(
                        id=one.id, kind=SECOND_PHONE, name=label, detail=one.name, created_at=one.created_at
                    )
                )
        if user.email and "email" in self._services.authn.factors.second:
            found.append(
                HeldFactor(
                    id="email", kind="email", name=FACTOR_LABELS["email"], detail=mask_email(user.email)
                )
            )
        if left := await self._services.authn.factors.recovery.left(user):
            found.append(
                HeldFactor(id="recovery", kind="recovery", name=FACTOR_LABELS["recovery"], detail=str(left))
            )
        if await self._bypasses.is_out(user.username):
            found.append(HeldFactor("bypass", "bypass", FACTOR_LABELS["bypass"]))
        return found

    async def reset_factors(self, actor: Actor, user: User, id: str = "") -> int:
        """Take away one second factor, or all but the mail address; returns how many went. Raises Locked.

        Who lost a factor may have lost it to somebody: sessions and remembered devices end, too.
        """
        check_own_factors(actor, user)
        kept = {"email"} if self._services.users.writable is not None else {"email", "sms"}
        gone = [one for one in await self.factors(user) if id in ("", one.id) and one.kind not in kept]
        for factor in gone:
            await self._taking.take(user, factor.kind, "" if factor.id == factor.kind else factor.id)
        if gone:
            kinds = sorted({one.kind for one in gone})
            self._audit.record("factors_reset", user.username, actor.ip, by=actor.name, factors=kinds)
            await self.forget_devices(actor, user.username)
            await self.end_all(actor, user.username)
            await self._end_tokens(actor, user.username)
        return len(gone)

    async def _end_tokens(self, actor: Actor, username: str) -> None:
        """Those that the user made: whoever had the factor could have made them."""
        if count := await self._services.stores.own_tokens.revoke_owned(username, self._services.clock()):
            self._audit.record("token_revoked", username, actor.ip, by=actor.name, count=count)
