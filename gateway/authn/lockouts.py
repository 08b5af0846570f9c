"""Lists what is blocked now, and lifts it, for the commands and the admin console.

Operators see whom it is about: a user, an address, a number or mail address in part. A name that no user has may be a
password in the wrong field; it is shown as the log shows it, as a fingerprint.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from gateway.authn.password_check import as_counted
from gateway.clock import Clock
from gateway.directory.base import Directory
from gateway.i18n.text import N_, Text
from gateway.messaging.addresses import mask_email, mask_phone
from gateway.model import User
from gateway.rate_limits import (
    CODE_FAILURES,
    CODES_PER_USER,
    PASSWORD_FAILURES,
    PASSWORD_PER_IP,
    PASSWORD_PER_USER,
    TOKENS_PER_IP,
    Budget,
    RateLimits,
    network_of,
)
from gateway.stores.protocols.ledger import Spent

Whose = tuple[str, str]
"""What it is about, and the subject, as `Spent` has them."""

OF_USER = (PASSWORD_FAILURES, CODE_FAILURES, PASSWORD_PER_USER, CODES_PER_USER)
OF_ADDRESS = (PASSWORD_PER_IP, TOKENS_PER_IP)
"""These are lifted before they are spent, too: otherwise the next slip would block again at once."""

LOCKS = {
    PASSWORD_FAILURES.name: N_("Password locked"),
    CODE_FAILURES.name: N_("Second factor locked"),
}
WHAT: Mapping[str, Text] = {
    "password": N_("Wrong passwords"),
    "codes": N_("Wrong codes"),
    "token": N_("Wrong API tokens"),
    "passkey": N_("Sign-ins with a passkey"),
    "federated": N_("Sign-ins with another provider"),
    "approval": N_("Approvals on another device"),
    "sms": N_("Text messages and calls"),
    "email": N_("Mails with a code"),
    "reset": N_("Requests for a new password"),
    "link": N_("One-time links"),
    "access": N_("Requests for access"),
    "registration": N_("Registrations"),
    "oidc": N_("Sign-ins by apps"),
}
"""By the first word of a budget's name."""


@dataclass(frozen=True, slots=True)
class Lockout:
    """One lock or spent budget. `name` is what an operator sees of whom it is about, and what lifts it."""

    about: str
    name: str
    budget: str
    count: int
    limit: int
    ends_at: float

    @property
    def username(self) -> str:
        """Return the user for the audit log; "" where it is about none."""
        return self.name if self.about == "user" else ""

    @property
    def is_lock(self) -> bool:
        return self.budget in LOCKS

    @property
    def what(self) -> Text:
        return LOCKS.get(self.budget) or WHAT.get(self.budget.partition("-")[0]) or N_("Too many attempts")


class Lockouts:
    """All locks and budgets. `fingerprint` is for names that no user has."""

    def __init__(
        self, limits: RateLimits, directory: Directory, fingerprint: Callable[[str], str], clock: Clock
    ) -> None:
        self._limits, self._directory = limits, directory
        self._fingerprint, self._clock = fingerprint, clock

    async def now(self) -> Sequence[Lockout]:
        """Return everything that is blocked, locks and other long waits first."""
        found = [await self._look(spent) for spent in await self._limits.spent()]
        return sorted(filter(_full, found), key=lambda one: (-one.ends_at, one.name))

    async def of(self, user: User) -> Sequence[Lockout]:
        """Return what this user waits for."""
        found = [await self._look(spent) for spent in await self._of(OF_USER, _subjects(user))]
        return sorted(filter(_full, found), key=lambda one: -one.ends_at)

    async def unlock(self, user: User) -> Sequence[Lockout]:
        """Lift every lock and budget of a user; return what had counted."""
        return await self._lift(await self._of(OF_USER, _subjects(user)))

    async def lift(self, name: str) -> Sequence[Lockout]:
        """Lift what is about an address, or whatever else `name` stands for in `now`; return it."""
        if (address := _address(name)) is not None:
            return await self._lift(await self._of(OF_ADDRESS, [("address", address)]))
        if (user := await self._directory.get(name)) is not None:
            return await self.unlock(user)
        return await self._lift(
            [
                spent
                for spent in await self._limits.spent()
                if self._hidden(spent) == name or spent.subject == as_counted(name)
            ]
        )

    async def _of(self, always: Iterable[Budget], whose: Sequence[Whose]) -> Sequence[Spent]:
        certain = [budget.of(who) for about, who in whose for budget in always if budget.about == about]
        noted = [spent for spent in await self._limits.spent() if (spent.about, spent.subject) in whose]
        return list(dict.fromkeys([*certain, *noted]))

    async def _lift(self, spent: Iterable[Spent]) -> Sequence[Lockout]:
        lifted = []
        for one in spent:
            seen = await self._look(one)
            await self._limits.lift(one)
            if seen.count > 0:
                lifted.append(seen)
        return lifted

    async def _look(self, spent: Spent) -> Lockout:
        count, remaining = await self._limits.counted(spent)
        name = self._hidden(spent)
        if spent.about == "user" and (user := await self._directory.get(spent.subject)) is not None:
            name = user.username
        return Lockout(
            about=spent.about,
            name=name,
            budget=spent.budget,
            count=count,
            limit=spent.limit,
            ends_at=self._clock() + remaining,
        )

    def _hidden(self, spent: Spent) -> str:
        """What may be shown of a subject that no user has."""
        match spent.about:
            case "address":
                return spent.subject
            case "number":
                return mask_phone(spent.subject)
            case "mail":
                return mask_email(spent.subject)
        return self._fingerprint(spent.subject)


def _full(one: Lockout) -> bool:
    return one.count >= one.limit


def _subjects(user: User) -> Sequence[Whose]:
    """Passwords count for the name as it is typed, and may be asked for under the mail address."""
    mail = [("mail", user.email), ("user", as_counted(user.email))] if user.email else []
    names = dict.fromkeys((user.username, as_counted(user.username)))
    return [*(("user", name) for name in names), *mail, *([("number", user.phone)] if user.phone else [])]


def _address(name: str) -> str | None:
    """The network that budgets count, of an address or of a network as `now` shows it."""
    try:
        return network_of(name.removesuffix("/64"))
    except ValueError:
        return None
