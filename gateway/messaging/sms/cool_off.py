"""Decides which number gets the codes after a change: for a while still the one before.

Whoever takes over a session, or talks a helpdesk into a change, must not have the codes at once; the owner of the old
number hears of it and has time to object. A first number counts at once, a removed one never again.
"""

from collections.abc import Sequence

from gateway.clock import Clock
from gateway.errors import SendFailed
from gateway.model import User
from gateway.stores.protocols.sms import PhoneChange, PhoneChanges


class CoolOff:
    """Finds the number that codes go to after a change. `period` is in seconds; 0 turns it off."""

    def __init__(self, changes: PhoneChanges, period: float, clock: Clock) -> None:
        self._changes, self.period, self._clock = changes, period, clock

    async def number(self, user: User) -> str:
        """Return the number that the user's codes go to. Raises SendFailed (code "cool_off") while none
        may have any.
        """
        if not self.period:
            return user.phone
        recent = await self._changes.of(user.username, self._clock() - self.period)
        number = trusted_number(user.phone, [one for one in recent if not one.waived])
        if not number:
            raise SendFailed(
                "the user's number is new and the one before was removed",
                code="cool_off",
                mend=f"`auth-gateway user set {user.username} --no-cool-off` if the user is known to have it",
            )
        return number


def trusted_number(phone: str, recent: Sequence[PhoneChange]) -> str:
    """Return the number that was the user's before the recent changes (newest first), "" if that one was removed."""
    number = phone
    for place, change in enumerate(recent):
        if not change.before:
            return "" if any(earlier.before for earlier in recent[place + 1 :]) else number
        number = change.before
    return number
