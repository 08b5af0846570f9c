"""One check of a password for every door: the sign-in page, HTTP Basic and the account page (security rules 2, 3, 9).

Counters are kept for the name as typed, known or not, so that they tell nothing about who exists. The log names
only who exists: a name that nobody has may be a password that was typed into the wrong field.
"""

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256

from gateway.audit import Audit
from gateway.directory.base import Directory
from gateway.errors import StoreUnavailable
from gateway.limits import FAILURES_IN_A_ROW, PASSWORD_PER_IP, PASSWORD_PER_USER, Limits, network_of
from gateway.model import User


@dataclass(frozen=True, slots=True)
class PasswordCheck:
    """`key` makes fingerprints; without it nobody can try out which name or password one stands for."""

    directory: Directory
    limits: Limits
    audit: Audit
    key: Callable[[], bytes]

    async def check(self, username: str, password: str, ip: str, *, door: str) -> User | None:
        """The user if the password is right, else None, counted and on record. Raises TooManyAttempts."""
        name, network = as_counted(username), network_of(ip)
        await self.limits.check(PASSWORD_PER_IP, network)
        await self.limits.check(PASSWORD_PER_USER, name)
        await self.limits.check(FAILURES_IN_A_ROW, f"password:{name}")
        user = await self.directory.authenticate(username, password) if password else None
        if user is None:
            await self._failed(name, network, ip, door)
            return None
        await self.limits.forget(PASSWORD_PER_USER, name)
        await self.limits.forget(FAILURES_IN_A_ROW, f"password:{name}")
        return user

    async def _failed(self, name: str, network: str, ip: str, door: str) -> None:
        shown = await self.shown(name)
        self.audit.record("password_failed", shown, ip, door=door)
        await self.limits.spend(PASSWORD_PER_IP, network)
        await self.limits.spend(PASSWORD_PER_USER, name)
        if await self.limits.spend(FAILURES_IN_A_ROW, f"password:{name}") == 0:
            self.audit.record("locked", shown, ip, factor="password")

    async def shown(self, typed: str) -> str:
        """What the log may say of a name that somebody typed."""
        try:
            user = await self.directory.get(typed)
        except StoreUnavailable:  # the failure must still count
            user = None
        return user.username if user else self.fingerprint(typed)

    def fingerprint(self, typed: str) -> str:
        """Equal for equal names, so that a row of guesses is seen as one."""
        digest = hmac.new(self.key(), as_counted(typed).encode(errors="surrogatepass"), sha256)
        return f"unknown:{digest.hexdigest()[:8]}"


def as_counted(typed: str) -> str:
    return typed.strip().casefold()[:128]
