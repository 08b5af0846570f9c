"""Remembered devices: a cookie that stands for a second factor which was proven in this browser before (rule 10).

The cookie is sealed and bound to one user; the store keeps only a digest. It is worth nothing without that user's
password, and policy decides where it counts at all. It must never reach an upstream.
"""

import json
import secrets
from collections.abc import Callable
from hashlib import sha256

from aiohttp import web
from cryptography.fernet import InvalidToken, MultiFernet

from gateway.clock import Clock
from gateway.config.schema import Session
from gateway.model import User
from gateway.observability.audit import Audit
from gateway.request.target import cookie_value
from gateway.session.cookie import cookie_flags, cookie_name
from gateway.stores.protocols.core import Device, Devices

_MAX_COOKIE = 1024


def device_cookie(session: Session) -> str:
    """Return the cookie's name without the prefix that it has on https."""
    return f"{session.cookie_name}_device"


class RememberedDevices:
    """Remembers browsers that skip the second factor. `store` is public: pages and commands list and remove through
    it.
    """

    def __init__(
        self,
        config: Session,
        *,
        secure: bool,
        fernet: Callable[[], MultiFernet],
        store: Devices,
        audit: Audit,
        clock: Clock,
        token: Callable[[], str] = secrets.token_urlsafe,
        path: str = "/",
    ) -> None:
        self.cookie_name = cookie_name(device_cookie(config), secure=secure, domain=config.domain, path=path)
        self._path, self._same_site = path, config.same_site
        self.store, self._audit = store, audit
        self._domain, self._lifetime = config.domain, config.remember_device
        self.days = max(1, round(self._lifetime / 86400)) if self._lifetime else 0
        """For how many days devices are remembered; 0 where they are not."""
        self._secure, self._fernet, self._clock, self._token = secure, fernet, clock, token

    async def recognise(self, cookies: str, user: User) -> Device | None:
        """Return the device of these cookies (a Cookie header) if this user had it remembered and nothing has ended
        that since.
        """
        id = self._read(cookies, user.username)
        device = await self.store.get(id) if id and self._lifetime else None
        if device is None or device.username != user.username or user.disabled:
            return None
        good_until = min(device.expires_at, device.created_at + self._lifetime)
        if self._clock() >= good_until or user.password_changed_at > device.created_at:
            return None
        return device

    async def used(self, device: Device, ip: str) -> None:
        """Note when and from where a device was used."""
        await self.store.touch(device.id, self._clock(), ip)

    async def remember(
        self, response: web.StreamResponse, cookies: str, user: User, *, ip: str, user_agent: str
    ) -> None:
        """Remember this browser for this user; what it was remembered as before is forgotten."""
        before, now, secret = self._read(cookies, user.username), self._clock(), self._token()
        if before:
            await self.store.remove(user.username, before)
        device = Device(
            id=_digest(secret),
            username=user.username,
            user_agent=user_agent[:300],
            ip=ip,
            created_at=now,
            last_used_at=now,
            expires_at=now + self._lifetime,
        )
        await self.store.add(device)
        self._audit.record("device_remembered", user.username, ip, device=device.id[:8])
        sealed = self._fernet().encrypt(json.dumps({"user": user.username, "device": secret}).encode())
        flags = cookie_flags(
            secure=self._secure, path=self._path, domain=self._domain, same_site=self._same_site
        )
        response.set_cookie(self.cookie_name, sealed.decode(), max_age=int(self._lifetime), **flags)

    def current(self, cookies: str, username: str) -> str:
        """Return the id of the device that these cookies are from, "" if it is not one of this user's."""
        return self._read(cookies, username)

    async def revoke(self, username: str, id: str, ip: str = "") -> bool:
        """Forget one device of a user; True if there was one."""
        gone = await self.store.remove(username, id)
        if gone:
            self._audit.record("device_revoked", username, ip, device=id[:8])
        return gone

    def _read(self, cookies: str, username: str) -> str:
        """The digest in the cookie if we sealed it for this very user."""
        value = cookie_value(cookies, self.cookie_name)
        if not value or len(value) > _MAX_COOKIE or not value.isascii():
            return ""
        try:
            sealed = json.loads(self._fernet().decrypt(value.encode()))
        except (InvalidToken, ValueError):
            return ""
        if not isinstance(sealed, dict) or sealed.get("user") != username:
            return ""
        return _digest(str(sealed.get("device", "")))


def _digest(secret: str) -> str:
    return sha256(secret.encode()).hexdigest()
