"""Adds or changes a phone number or mail address: it becomes the user's once a code sent there has come back.

The code is bound to this very address and never good for signing in: a session that adds a number must not be able
to use it as the second factor before it is added.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Literal

from gateway.directory.base import WritableDirectory
from gateway.errors import UserUnknown
from gateway.factors.base import Attempt, Factor, Outcome, Setup
from gateway.stores.base import Ledger

_SETUP = 900.0
Seal = Callable[[bytes], bytes]
Field = Literal["phone", "email"]


class ContactEnrolment:
    """Args:
    factor: sends and checks the codes.
    field: of the User, what the address becomes.
    canonical: the one spelling of an address; raises InvalidUser.
    seal: with `open` the key ring's; addresses don't rest in the clear.
    """

    def __init__(
        self,
        factor: Factor,
        field: Field,
        canonical: Callable[[str], str],
        directory: WritableDirectory,
        ledger: Ledger,
        *,
        seal: Seal,
        open: Seal,
    ) -> None:
        self.name = factor.name
        self._factor, self._field, self._canonical = factor, field, canonical
        self._directory, self._ledger = directory, ledger
        self._seal, self._open = seal, open

    async def enrol_begin(self, attempt: Attempt, form: Mapping[str, str]) -> Setup:
        address = self._canonical(form.get("address", ""))
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
            await self._store(attempt.user.username, address)
        if outcome in (Outcome.RIGHT, Outcome.EXHAUSTED):
            await self._ledger.delete(self._slot(attempt))
        return outcome

    async def _store(self, username: str, address: str) -> None:
        user = await self._directory.get(username)
        if user is None:
            raise UserUnknown(f"{username} is gone")
        changed = replace(user, phone=address) if self._field == "phone" else replace(user, email=address)
        await self._directory.replace(changed)

    async def _pending(self, attempt: Attempt) -> str:
        sealed = await self._ledger.get(self._slot(attempt))
        return self._open(sealed).decode() if sealed else ""

    def _towards(self, attempt: Attempt, address: str) -> Attempt:
        user = attempt.user
        user = replace(user, phone=address) if self._field == "phone" else replace(user, email=address)
        return replace(attempt, user=user, sid=f"enrol:{attempt.sid}:{address}")

    def _slot(self, attempt: Attempt) -> str:
        return f"enrol:{self.name}:{attempt.user.username}:{attempt.sid}"
