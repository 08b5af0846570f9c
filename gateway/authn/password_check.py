"""Checks passwords for the sign-in page, HTTP Basic and the account page alike (security rules 2, 3, 9).

Counters are kept for the name that was typed, known or not, so that they tell nothing about who exists. An attempt
counts before it is judged, so that parallel guesses can't outrun the limits; a right one is given back. The log names
only users who exist: another name may be a password typed into the wrong field.
"""

import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256

from gateway.authn.attacks import Attacks
from gateway.config.names import mail_address, user_name
from gateway.directory.base import Directory
from gateway.errors import Overloaded, StoreUnavailable
from gateway.model import User
from gateway.observability import metrics
from gateway.observability.audit import Audit
from gateway.rate_limits import (
    DEVICE_FAILURES,
    PASSWORD_FAILURES,
    PASSWORD_PER_DEVICE,
    PASSWORD_PER_IP,
    PASSWORD_PER_USER,
    Budget,
    RateLimits,
    network_of,
)


@dataclass(frozen=True, slots=True)
class PasswordCheck:
    """Checks passwords. `key` makes fingerprints of names, so that nobody can try out which name one stands for."""

    directory: Directory
    limits: RateLimits
    audit: Audit
    key: Callable[[], bytes]
    attacks: Attacks
    by_email: bool = False
    """Whether a mail address stands for the username of the one user who has it."""

    async def meant(self, typed: str) -> str:
        """Return the username that was meant; what means nobody stays as it is. Raises StoreUnavailable."""
        if not self.by_email or "@" not in typed or await self.directory.get(typed) is not None:
            return typed
        wanted = mail_address(typed)
        found = await self.directory.with_email(typed) if wanted else []
        same = [one.username for one in found if mail_address(one.email) == wanted]
        return same[0] if len(same) == 1 else typed

    async def check(
        self, username: str, password: str, ip: str, *, door: str, device: str = ""
    ) -> User | None:
        """Return the user if the password is right, else None; counted and audited. `door` names the place for the
        log, `device` the user's own remembered device that asks: it has tries of its own, so strangers can't spend
        them by guessing elsewhere.

        Raises TooManyAttempts, Overloaded, StoreUnavailable.
        """
        name, network = as_counted(username), network_of(ip)
        counted: Sequence[tuple[Budget, str]]
        counted = ((PASSWORD_PER_IP, network), (PASSWORD_PER_USER, name), (PASSWORD_FAILURES, name))
        if device:
            counted = ((PASSWORD_PER_DEVICE, device), (DEVICE_FAILURES, device))
        *_, soon, left = await self.limits.spend_all(counted)
        known = name
        try:
            # The typed spelling first, which costs no question; then the one user whom the directory knows by it.
            if not device and (known := await self.directory.counted_as(name)) != name:
                own = ((PASSWORD_PER_USER, known), (PASSWORD_FAILURES, known))
                soon, left = await self.limits.spend_all(own)
                counted = (*counted, *own)
            user = await self.directory.authenticate(username, password) if password else None
        except (StoreUnavailable, Overloaded):
            await self.limits.settle(back=counted, forget=())  # nothing was judged
            raise
        if user is None:
            await self._failed(known, ip, door)
            if left == 0 or (soon == 0 and not device):
                await self.closed(await self.shown(known), ip, "password", locked=left == 0)
            return None
        if device:  # a lock that strangers caused stays for strangers
            await self.limits.forget(device, PASSWORD_PER_DEVICE, DEVICE_FAILURES)
            return user
        own_budgets = (PASSWORD_PER_USER, PASSWORD_FAILURES)
        of_user = [(budget, subject) for subject in dict.fromkeys((name, known)) for budget in own_budgets]
        await self.limits.settle(back=[(PASSWORD_PER_IP, network)], forget=of_user)
        return user

    async def _failed(self, name: str, ip: str, door: str) -> None:
        self.audit.record("password_failed", await self.shown(name), ip, door=door)

    async def closed(self, shown: str, ip: str, factor: str, *, locked: bool) -> None:
        """Tell the operator that tries are used up: whose, how many there were, from where and since when."""
        metrics.tries_spent.labels(factor, "locked" if locked else "tries_spent").inc()
        try:
            found = await self.attacks.on(shown)
        except StoreUnavailable:  # then without the rest
            found = None
        failures, networks = (found.count, found.origins) if found else (0, [])
        others, since = (found.others, found.since) if found else (0, 0.0)
        if locked:
            self.audit.record(
                "locked",
                shown,
                ip,
                factor=factor,
                failures=failures,
                networks=networks,
                others=others,
                since=since,
            )
            return
        self.audit.record(
            "tries_spent",
            shown,
            ip,
            factor=factor,
            failures=failures,
            networks=networks,
            others=others,
            since=since,
        )

    async def shown(self, typed: str) -> str:
        """Return what the log may say of a name that was typed."""
        try:
            user = await self.directory.get(typed)
        except StoreUnavailable:  # the failure must still count
            user = None
        return user.username if user else self.fingerprint(typed)

    def fingerprint(self, typed: str) -> str:
        """Return a keyed digest, equal for equal names, so that a series of guesses is seen as one."""
        return fingerprint(self.key(), typed)


def fingerprint(key: bytes, typed: str) -> str:
    """Return a keyed digest of a name as `as_counted` spells it."""
    digest = hmac.new(key, as_counted(typed).encode(errors="surrogatepass"), sha256)
    return f"unknown:{digest.hexdigest()[:8]}"


def as_counted(typed: str) -> str:
    """Return one spelling for all that the directory takes for the same name: full-width letters get no
    fresh tries.
    """
    return user_name(typed.strip())[:128]
