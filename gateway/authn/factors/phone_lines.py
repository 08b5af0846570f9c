"""Decides which of a user's numbers a code goes to: the directory's, or a second one that the user keeps with us.

The second is for the day on which the first phone is lost. It is ours whatever the directory is, is sealed among the
user's credentials, and gets no codes before the cool-off of a changed number is over.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from gateway.authn.factors.base import Attempt
from gateway.authn.factors.totp import random_id
from gateway.clock import Clock
from gateway.directory import identifiers
from gateway.errors import InvalidUser, SendFailed
from gateway.i18n.text import N_
from gateway.messaging.addresses import mask_phone
from gateway.messaging.sms.cool_off import CoolOff
from gateway.model import User
from gateway.stores.protocols.core import Credential, Credentials
from gateway.stores.protocols.ledger import Ledger
from gateway.stores.protocols.user_search import PHONE_KIND

SECOND_PHONE = PHONE_KIND
"""The kind of credential that holds it, and its name where users add and remove it. In `amr` a code sent there is
`sms` like any other."""
_WAIVED = 1
"""The credential's counter once its cool-off is waived."""


@dataclass(frozen=True, slots=True)
class Line:
    """Where a user's codes go. `phone` gets the codes, `other` would if the user asked for it ("" if there is none)."""

    phone: str
    other: str = ""
    cooling: bool = False
    """The number of the directory was changed, and `phone` is the one before."""
    has_second: bool = True
    """The user keeps a second number, whether it gets codes already or not."""

    @property
    def switched(self) -> "Line":
        return Line(self.other, self.phone) if self.other else self


class SecondPhone:
    """The second number as a Contact: how it is added, or changed for another."""

    name = SECOND_PHONE

    def __init__(
        self,
        credentials: Credentials,
        clock: Clock,
        *,
        spell: Callable[[str], str] = identifiers.phone,
        new_id: Callable[[], str] = random_id,
    ) -> None:
        """`spell` returns the one spelling of a number or raises InvalidUser."""
        self._credentials, self._clock, self._new_id = credentials, clock, new_id
        self._spell = spell

    def canonical(self, user: User, text: str) -> str:
        """Return a second number as it is stored (E.164). Raises InvalidUser for what is no number, or is the first
        one.
        """
        number = self._spell(text)
        if number and number == user.phone:
            raise InvalidUser(
                "the second number is the first one",
                public=N_("That is your number already. Please enter another one."),
            )
        return number

    def as_if(self, user: User, address: str) -> User:
        return replace(user, phone=address)

    async def store(self, username: str, address: str) -> None:
        """Store it under a new id, so that codes sent to the number before are void."""
        await forget_second_phone(self._credentials, username)
        await self._credentials.add(
            Credential(
                id=self._new_id(),
                username=username,
                kind=SECOND_PHONE,
                name=mask_phone(address),
                secret=address.encode(),
                created_at=self._clock(),
            )
        )


async def forget_second_phone(credentials: Credentials, username: str) -> bool:
    """Remove the second number; True if there was one."""
    held = await credentials.list(username, SECOND_PHONE)
    return any([await credentials.remove(username, one.id) for one in held])


async def waive_second_phone(credentials: Credentials, username: str) -> None:
    """End its cool-off, since an administrator vouches for it: it gets codes at once."""
    for held in await credentials.list(username, SECOND_PHONE):
        await credentials.advance(held.id, _WAIVED, held.last_used_at)


class Phones:
    """The numbers of users. `lifetime` is that of a code, in seconds: for so long a session keeps to the number it
    chose.
    """

    def __init__(
        self,
        credentials: Credentials,
        cool_off: CoolOff,
        ledger: Ledger,
        clock: Clock,
        *,
        lifetime: float,
    ) -> None:
        self._credentials, self._cool_off, self._ledger, self._clock = credentials, cool_off, ledger, clock
        self._lifetime = lifetime

    async def any(self, user: User) -> bool:
        """Tell whether there is a number at all, the second one included.

        Without the second, an account whose first number the directory drops would seem to have no second factor, and
        whoever has the password could add one.
        """
        return bool(user.phone or await self._second(user))

    async def line(self, attempt: Attempt) -> Line:
        """Return where the codes of this session go now. Raises SendFailed (code "cool_off") if no number may have
        any.
        """
        second = await self._second(attempt.user)
        other = second.secret.decode() if second and not self.cooling(second) else ""
        if not attempt.user.phone:
            return self._alone(attempt.user, other)
        try:
            first = await self._cool_off.number(attempt.user)
        except SendFailed:
            if not other:
                raise
            return Line(other)
        line = Line(first, other if other != first else "", cooling=first != attempt.user.phone)
        if second is None:  # most users: there is nothing to have chosen
            return replace(line, has_second=False)
        kept = await self._ledger.get(_slot(attempt))
        return line.switched if kept == second.id.encode() else line

    def _alone(self, user: User, second: str) -> Line:
        """The directory has removed the first number, so it gets nothing more."""
        if not second:
            raise SendFailed(
                "the user's second number is new and the first one was removed",
                code="cool_off",
                mend=f"`auth-gateway user set {user.username} --no-cool-off` if the user is known to have it",
            )
        return Line(second)

    async def keep_to(self, attempt: Attempt, line: Line) -> None:
        """Send this session's codes to `line.phone` from now on."""
        if not line.has_second:  # and of one that is gone nothing is kept any more
            return
        second = await self._second(attempt.user)
        if second and line.phone == second.secret.decode():
            await self._ledger.put(_slot(attempt), second.id.encode(), self._lifetime)
        elif await self._ledger.get(_slot(attempt)) is not None:
            await self._ledger.delete(_slot(attempt))

    async def is_gone(self, attempt: Attempt) -> bool:
        """Tell whether this session's code went to a second number that was removed or changed meanwhile."""
        kept = await self._ledger.get(_slot(attempt))
        second = await self._second(attempt.user) if kept else None
        return kept is not None and (second is None or kept != second.id.encode())

    async def forget_choice(self, attempt: Attempt) -> None:
        """Forget which number this session's codes go to."""
        await self._ledger.delete(_slot(attempt))

    def cooling(self, second: Credential) -> bool:
        """Tell whether this second number gets no codes yet."""
        return second.counter < _WAIVED and self._clock() < second.created_at + self._cool_off.period

    async def _second(self, user: User) -> Credential | None:
        held = await self._credentials.list(user.username, SECOND_PHONE)
        return held[-1] if held else None


def _slot(attempt: Attempt) -> str:
    return f"line:{attempt.user.username}:{attempt.sid}"
