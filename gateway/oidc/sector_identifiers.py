"""Checks that an app belongs to the sector that it names: all of its redirect URIs are in the list that is at its
`sector_identifier_uri` (OpenID Connect Core §8.1, Registration §5).

Else an app could call itself part of another's sector, and know users by the names that only that one should.
"""

import json
import logging
from collections.abc import Sequence
from hashlib import sha256

from gateway.oidc.client_documents import Fetch, fetched
from gateway.oidc.clients import Client
from gateway.stores.protocols.ledger import Ledger

log = logging.getLogger("gateway.oidc")
_KEPT, _KEPT_FAILURE = 30 * 86400.0, 60.0
"""Seconds: a list counts at registration (Registration §5), so it is read again seldom, and one that fails soon."""
_RIGHT, _WRONG = b"right", b"wrong"


class SectorIdentifiers:
    """Reads lists and remembers which apps stand in theirs."""

    def __init__(self, ledger: Ledger, *, fetch: Fetch | None = None) -> None:
        self._ledger, self._fetch = ledger, fetch or fetched

    async def holds(self, app: Client) -> bool:
        """Whether an app may use the sector that it names; one that names none may. Raises StoreUnavailable."""
        uri = app.settings.sector_identifier_uri
        return uri is None or await self.lists(uri, app.settings.redirect_uris, app.id)

    async def lists(self, uri: str, redirect_uris: Sequence[str], client: str) -> bool:
        """Whether the list at `uri` has all redirect URIs of a client. Raises StoreUnavailable."""
        digest = sha256(json.dumps([uri, sorted(redirect_uris)]).encode()).hexdigest()
        slot = f"oidc:sector:{digest}"
        known = await self._ledger.get(slot)
        if known is None:
            missing = _missing(await self._fetch(uri), redirect_uris)
            if missing:
                log.error("client %s: sector_identifier_uri %s", client, missing)
            known = _WRONG if missing else _RIGHT
            await self._ledger.put(slot, known, _KEPT_FAILURE if missing else _KEPT)
        return known == _RIGHT


def _missing(text: bytes | None, redirect_uris: Sequence[str]) -> str:
    """What is wrong with a list, "" if nothing is."""
    try:
        listed = json.loads(text) if text is not None else None
    except (ValueError, RecursionError):
        listed = None
    if not isinstance(listed, list):
        return "gives no JSON list"
    lacking = [uri for uri in redirect_uris if uri not in listed]
    return f"does not list {lacking[0]}" if lacking else ""
