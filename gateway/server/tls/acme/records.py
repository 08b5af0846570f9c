"""What all replicas know of our certificate: the account, the certificate itself, when it is renewed, and proofs."""

import json
from typing import Protocol

from gateway.server.tls.acme.bundle import Bundle
from gateway.server.tls.acme.renewal import RenewalState
from gateway.stores.protocols.ledger import Ledger

LEASE = 900.0
"""Seconds after which another replica may order if the one that began has told nothing."""
_PROOF_KEPT = 900.0


class RawRecords(Protocol):
    """Where records are kept, sealed. Both methods raise StoreUnavailable."""

    async def get(self, what: str) -> bytes | None:
        """Return a record, None if there is none."""

    async def put(self, what: str, value: bytes) -> None:
        """Write a record."""


class AcmeRecords:
    """The records of one authority. Every method raises StoreUnavailable."""

    def __init__(self, raw: RawRecords, ledger: Ledger, *, directory: str) -> None:
        self._raw, self._ledger = raw, ledger
        self._lease = f"acme lease {directory}"

    async def certificate(self) -> Bundle | None:
        """Return the newest certificate, None if there is none that can be read."""
        found = await self._raw.get("certificate")
        try:
            return Bundle.parse(found.decode()) if found else None
        except ValueError:
            return None

    async def keep_certificate(self, bundle: Bundle) -> None:
        """Let all replicas have it."""
        await self._raw.put("certificate", bundle.pem.encode())

    async def account(self) -> tuple[str, str] | None:
        """Return key (PEM) and address of the account, None if there is none."""
        found = await self._raw.get("account")
        try:
            account = json.loads(found) if found else {}
            return str(account["key"]), str(account["url"])
        except (ValueError, KeyError, TypeError):
            return None

    async def keep_account(self, key: str, url: str) -> None:
        """Note the account."""
        await self._raw.put("account", json.dumps({"key": key, "url": url}).encode())

    async def state(self) -> RenewalState:
        """Return what is known of renewals."""
        return RenewalState.parse(await self._raw.get("state"))

    async def keep_state(self, state: RenewalState) -> None:
        """Note what is known of renewals."""
        await self._raw.put("state", state.dump())

    async def wanted_at(self) -> float:
        """Return when an operator last asked for a new certificate; 0.0 if never."""
        try:
            return float(await self._raw.get("wanted") or b"0")
        except ValueError:
            return 0.0

    async def want(self, now: float) -> None:
        """Note that an operator asks for a new certificate. It is no part of `state`, which others write meanwhile."""
        await self._raw.put("wanted", repr(now).encode())

    async def lease(self) -> bool:
        """Take the right to speak to the authority; False if another worker or replica has it."""
        return await self._ledger.claim_once(self._lease, LEASE)

    async def end_lease(self) -> None:
        """Give it back."""
        await self._ledger.delete(self._lease)

    async def show(self, token: str, value: str) -> None:
        """Have every worker of every replica answer `value` when the authority asks for `token`."""
        await self._ledger.put(_proof(token), value.encode(), _PROOF_KEPT)

    async def shown(self, token: str) -> str | None:
        """Return what to answer."""
        found = await self._ledger.get(_proof(token))
        return found.decode() if found else None

    async def hide(self, token: str) -> None:
        """Answer it no more."""
        await self._ledger.delete(_proof(token))


def _proof(token: str) -> str:
    return f"acme proof {token}"
