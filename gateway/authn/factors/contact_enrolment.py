"""Adds or changes a phone number or mail address: it becomes the user's once a code sent there has come back.

The code is bound to this very address and never good for signing in: a session that adds a number must not be able to
use it as the second factor before it is added.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Literal, Protocol

from gateway.authn.factors.base import Attempt, Factor, Outcome, Setup
from gateway.directory.base import WritableDirectory, existing
from gateway.model import User
from gateway.stores.protocols.ledger import Ledger

_SETUP = 900.0
Seal = Callable[[bytes], bytes]
Field = Literal["phone", "email"]


class Contact(Protocol):
    """A kind of address, and where it is kept."""

    name: str

    def canonical(self, user: User, text: str) -> str:
        """Return the one spelling of an address. Raises InvalidUser."""
        ...

    def as_if(self, user: User, address: str) -> User:
        """Return the user as if the address were theirs already: that is where the code goes."""
        ...

    async def store(self, username: str, address: str) -> None:
        """Make the proven address the user's."""
        ...


class DirectoryContact:
    """An address in `field` of the directory's user, named `name` as a factor; `spell` returns the one spelling or
    raises InvalidUser.
    """

    def __init__(
        self, name: str, field: Field, spell: Callable[[str], str], directory: WritableDirectory
    ) -> None:
        self.name = name
        self._field, self._spell, self._directory = field, spell, directory

    def canonical(self, user: User, text: str) -> str:
        return self._spell(text)

    def as_if(self, user: User, address: str) -> User:
        return replace(user, phone=address) if self._field == "phone" else replace(user, email=address)

    async def store(self, username: str, address: str) -> None:
        user = await existing(self._directory, username)
        await self._directory.replace(self.as_if(user, address))


class ContactEnrolment:
    """Enrols one kind of address.

    Args: factor: sends and checks the codes. seal: with `open` the key ring's; addresses are not stored in the clear.
    """

    def __init__(self, factor: Factor, contact: Contact, ledger: Ledger, *, seal: Seal, open: Seal) -> None:
        self.name = contact.name
        self._factor, self._contact, self._ledger = factor, contact, ledger
        self._seal, self._open = seal, open

    async def enrol_begin(self, attempt: Attempt, form: Mapping[str, str]) -> Setup:
        address = self._contact.canonical(attempt.user, form.get("address", ""))
        if address:
            await self._ledger.put(self._slot(attempt), self._seal(address.encode()), _SETUP)
        else:
            address = await self._pending(attempt)
        if not address or form.get("restart"):
            return Setup(needs_address=True)
        again = bool(form.get("resend"))
        return Setup(await self._factor.begin(self._towards(attempt, address), again=again))

    async def enrol_finish(self, attempt: Attempt, form: Mapping[str, str]) -> Outcome:
        address = await self._pending(attempt)
        if not address:
            return Outcome.EXPIRED
        outcome = await self._factor.verify(self._towards(attempt, address), form)
        if outcome is Outcome.RIGHT:
            await self._contact.store(attempt.user.username, address)
        if outcome in (Outcome.RIGHT, Outcome.EXHAUSTED):
            await self._ledger.delete(self._slot(attempt))
        return outcome

    async def _pending(self, attempt: Attempt) -> str:
        sealed = await self._ledger.get(self._slot(attempt))
        return self._open(sealed).decode() if sealed else ""

    def _towards(self, attempt: Attempt, address: str) -> Attempt:
        user = self._contact.as_if(attempt.user, address)
        # Nothing but a code to the address proves it.
        return replace(attempt, user=user, sid=f"enrol:{attempt.sid}:{address}", no_other_way=True)

    def _slot(self, attempt: Attempt) -> str:
        return f"enrol:{self.name}:{attempt.user.username}:{attempt.sid}"
