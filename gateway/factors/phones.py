"""Which of a user's numbers a code goes to: that of the directory, or a second one that the user keeps with us.

The second is for the day on which the first phone is lost. It is ours whatever the directory is, rests sealed among
the user's credentials, and gets no codes before the cool-off of a changed number is over.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from gateway.clock import Clock
from gateway.directory import names
from gateway.errors import InvalidUser, SendFailed
from gateway.factors.base import Attempt
from gateway.factors.totp import random_id
from gateway.language.text import N_
from gateway.model import User
from gateway.senders.masking import mask_phone
from gateway.sms.cool_off import CoolOff
from gateway.stores.base import Credential, Credentials, Ledger

SECOND_PHONE = "second_phone"
"""The kind of credential that holds it, and its name where users add and remove it. In `amr` a code sent there is
`sms` like any other."""


@dataclass(frozen=True, slots=True)
class Line:
    """`phone` gets the codes, `other` would if the user asked for it ("" if there is none)."""

    phone: str
    other: str = ""
    cooling: bool = False
    """The number of the directory was changed, and `phone` is the one before."""

    @property
    def switched(self) -> "Line":
        return Line(self.other, self.phone) if self.other else self


class SecondPhone:
    """How the second number is added, or changed for another (a Contact)."""

    name = SECOND_PHONE

    def __init__(
        self, credentials: Credentials, clock: Clock, *, new_id: Callable[[], str] = random_id
    ) -> None:
        self._credentials, self._clock, self._new_id = credentials, clock, new_id

    def canonical(self, user: User, text: str) -> str:
        number = names.phone(text)
        if number and number == user.phone:
            raise InvalidUser(
                "the second number is the first one",
                public=N_("That is your number already. Please enter another one."),
            )
        return number

    def as_if(self, user: User, address: str) -> User:
        return replace(user, phone=address)

    async def store(self, username: str, address: str) -> None:
        await forget_second_phone(self._credentials, username)
        await self._credentials.add(
            Credential(
                self._new_id(), username, SECOND_PHONE, mask_phone(address), address.encode(), self._clock()
            )
        )


async def forget_second_phone(credentials: Credentials, username: str) -> None:
    for held in await credentials.list(username, SECOND_PHONE):
        await credentials.remove(username, held.id)


class Phones:
    """`lifetime` is that of a code, in seconds: for so long a session keeps to the number that it chose."""

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

    async def line(self, attempt: Attempt) -> Line:
        """Where the codes of this session go now. Raises SendFailed (code "cool_off") if no number may have any."""
        other = await self._usable_second(attempt.user)
        try:
            first = await self._cool_off.number(attempt.user)
        except SendFailed:
            if not other:
                raise
            return Line(other)
        line = Line(first, other if other != first else "", cooling=first != attempt.user.phone)
        return line.switched if await self._ledger.get(_slot(attempt)) else line

    async def keep_to(self, attempt: Attempt, line: Line) -> None:
        """From now on this session's codes go to `line.phone`."""
        if line.phone == await self._usable_second(attempt.user):
            await self._ledger.put(_slot(attempt), b"second", self._lifetime)
        else:
            await self._ledger.delete(_slot(attempt))

    async def _usable_second(self, user: User) -> str:
        """ "" while there is none, or it cools off."""
        since = self._clock() - self._cool_off.period
        held = await self._credentials.list(user.username, SECOND_PHONE)
        return next((one.secret.decode() for one in held if one.created_at <= since), "")


def _slot(attempt: Attempt) -> str:
    return f"line:{attempt.user.username}:{attempt.sid}"
