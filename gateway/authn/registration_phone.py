"""Proves the phone number of somebody who has no account yet: a code to it must come back, as when one is added."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from gateway.authn.factors.base import Attempt, Enrols, Outcome, Setup
from gateway.authn.factors.contact_enrolment import Contact
from gateway.authn.login_origin import LoginOrigin
from gateway.directory import identifiers
from gateway.model import User
from gateway.stores.protocols.ledger import Ledger


@dataclass(slots=True)
class _ProvenPhone:
    """Where a proven number is kept until there is an account: beside the link, and for no longer."""

    slot: str
    ledger: Ledger
    seal: Callable[[bytes], bytes]
    country: str
    lifetime: float
    name: str = "sms"

    def canonical(self, user: User, text: str) -> str:
        return identifiers.phone(text, country=self.country)

    def as_if(self, user: User, address: str) -> User:
        return replace(user, phone=address)

    async def store(self, username: str, address: str) -> None:
        await self.ledger.put(self.slot, self.seal(address.encode()), self.lifetime)


class RegistrationPhones:
    """Sends codes and takes them. `slot` everywhere is that of the link (`BoundLinks.slot`).

    Args: prove: as `Factors.prove_phone`. seal: with `open` the key ring's. country: `sms.default_country`. lifetime:
    of a proven number, in seconds.
    """

    def __init__(
        self,
        prove: Callable[[Contact], Enrols],
        ledger: Ledger,
        *,
        seal: Callable[[bytes], bytes],
        open: Callable[[bytes], bytes],
        country: str,
        lifetime: float,
    ) -> None:
        self._prove, self._ledger, self._seal, self._open = prove, ledger, seal, open
        self._country, self._lifetime = country, lifetime

    async def proven(self, slot: str) -> str:
        """Return the number that was proven with this link, "" if there is none."""
        sealed = await self._ledger.get(_beside(slot))
        return self._open(sealed).decode() if sealed else ""

    async def begin(self, client: LoginOrigin, slot: str, address: str, form: Mapping[str, str]) -> Setup:
        """Send a code to the number in the form, or tell of the one that is out.

        Raises InvalidUser, SendFailed, TooManyAttempts.
        """
        return await self._enrols(slot).enrol_begin(_attempt(client, slot, address), form)

    async def finish(self, client: LoginOrigin, slot: str, address: str, form: Mapping[str, str]) -> Outcome:
        """Judge a code; a right one proves the number. Raises TooManyAttempts."""
        return await self._enrols(slot).enrol_finish(_attempt(client, slot, address), form)

    async def forget(self, slot: str) -> None:
        await self._ledger.delete(_beside(slot))

    def _enrols(self, slot: str) -> Enrols:
        return self._prove(
            _ProvenPhone(
                slot=_beside(slot),
                ledger=self._ledger,
                seal=self._seal,
                country=self._country,
                lifetime=self._lifetime,
            )
        )


def _beside(slot: str) -> str:
    return f"{slot}:phone"


def _attempt(client: LoginOrigin, slot: str, address: str) -> Attempt:
    """What a code is bound to: the link and its address, which are no session and open nothing."""
    return Attempt(
        user=User(address), sid=slot, ip=client.ip, host=client.host, origin=client.origin, lang=client.lang
    )
