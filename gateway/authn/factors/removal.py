"""Takes second factors away, for the account page, the admin console and the shell."""

from dataclasses import dataclass, replace

from gateway.authn.factors.bypass import Bypasses
from gateway.authn.factors.phone_lines import SECOND_PHONE, forget_second_phone
from gateway.directory.base import WritableDirectory
from gateway.model import User
from gateway.stores.protocols.core import Credentials

OWNED = ("totp", "webauthn")
"""Kinds that are credentials of their own: there may be several, each with a name."""
KINDS = (*OWNED, "recovery", SECOND_PHONE, "sms", "bypass")
"""What can be taken away: all but the mail address, which is more than a factor."""


@dataclass(frozen=True, slots=True)
class FactorRemoval:
    """Takes factors away, of every kind. `directory` is None where users are kept elsewhere: their number stays."""

    credentials: Credentials
    bypasses: Bypasses
    directory: WritableDirectory | None

    async def take(self, user: User, kind: str, id: str = "") -> bool:
        """Take away the credential `id`, or without it all of this kind. False if there was nothing to take."""
        if kind == "bypass":
            return await self.bypasses.revoke(user.username)
        if kind == "sms":
            if self.directory is None or not user.phone:
                return False
            await forget_numbers(self.credentials, self.directory, user)
            return True
        held = [one for one in await self.credentials.list(user.username, kind) if id in ("", one.id)]
        return any([await self.credentials.remove(user.username, one.id) for one in held])


async def forget_numbers(credentials: Credentials, directory: WritableDirectory, user: User) -> None:
    """Remove the user's phone number, and the second one with it."""
    await forget_second_phone(credentials, user.username)
    await directory.replace(replace(user, phone=""))
