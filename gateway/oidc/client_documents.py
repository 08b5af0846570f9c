"""Reads client-id metadata documents: a `client_id` that is an https URL, under which the app describes itself.

Only hosts that the operator lists are asked, so nobody can make the gateway ask an address of their choice, no redirect
is followed, and what comes back is small and must name its own address.
"""

import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

import aiohttp

from gateway.config import addresses
from gateway.rate_limits import Budget, RateLimits
from gateway.request.small_body import read_answer
from gateway.stores.protocols.ledger import Ledger

LARGEST = 5 * 1024
_LONGEST_ID = 128
"""Of what grants keep as a client's id."""
_KEPT, _KEPT_FAILURE = 3600.0, 60.0
_WAIT = 5.0
_PATH = re.compile(r"(/(?!\.{1,2}(/|$))[A-Za-z0-9._~@-]+)+/?")
PER_NETWORK = Budget(name="oidc-documents", limit=30, window=600, about="address")
Fetch = Callable[[str], Awaitable[bytes | None]]


@dataclass(frozen=True, slots=True)
class ClientDocument:
    """What counts of a document."""

    name: str
    redirect_uris: tuple[str, ...]
    is_pairwise: bool


class ClientDocuments:
    """Reads and remembers documents. `hosts` are those that may have some, with their ports."""

    def __init__(
        self, hosts: tuple[str, ...], ledger: Ledger, limits: RateLimits, *, fetch: Fetch | None = None
    ) -> None:
        self._hosts, self._ledger, self._limits = hosts, ledger, limits
        self._fetch = fetch or fetched

    def is_one(self, id: str) -> bool:
        """Whether an id is the address of a document that may be read."""
        if not self._hosts or len(id) > _LONGEST_ID or not id.startswith(("https://", "http://")):
            return False
        parts = addresses.split(id)
        if parts is None or parts.query or "#" in id or "?" in id or not _PATH.fullmatch(parts.path):
            return False
        # Without TLS anybody on the way could be the app. On this machine there is no way.
        secure = parts.scheme == "https" or addresses.is_local(parts.hostname or "")
        return secure and parts.netloc in self._hosts

    async def read(self, id: str, network: str) -> ClientDocument | None:
        """Return what the app with this id says of itself, None if there is no such app.

        Raises TooManyAttempts where `network` asks for too many new ones.
        """
        if not self.is_one(id):
            return None
        slot = f"oidc:document:{id}"
        known = await self._ledger.get(slot)
        if known is None:
            await self._limits.spend(PER_NETWORK, network)
            known = await self._fetch(id) or b""
            if described(id, known) is None:
                known = b""
            await self._ledger.put(slot, known, _KEPT if known else _KEPT_FAILURE)
        return described(id, known) if known else None


def described(id: str, text: bytes) -> ClientDocument | None:
    """Return what a document says, None for one that is not about `id` or wants more than a public client may."""
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(fields, dict) or fields.get("client_id") != id or "client_secret" in fields:
        return None
    if fields.get("token_endpoint_auth_method", "none") != "none":
        return None
    uris = fields.get("redirect_uris")
    if not isinstance(uris, list) or not uris or not all(isinstance(uri, str) for uri in uris):
        return None
    name = fields.get("client_name", "")
    return ClientDocument(
        name=name if isinstance(name, str) else "",
        redirect_uris=tuple(str(uri) for uri in uris[:10]),
        is_pairwise=fields.get("subject_type") == "pairwise",
    )


async def fetched(url: str) -> bytes | None:
    """Ask for a document. None for any answer but a small JSON one, at this very address."""
    patience = aiohttp.ClientTimeout(total=_WAIT)
    try:
        async with (
            aiohttp.ClientSession(timeout=patience, trust_env=True) as web,
            web.get(url, allow_redirects=False, headers={"Accept": "application/json"}) as answer,
        ):
            if answer.status != 200 or not answer.content_type.endswith("json"):
                return None
            body = await read_answer(answer.content, LARGEST + 1)
    except (TimeoutError, aiohttp.ClientError, ValueError):
        return None
    return body if len(body) <= LARGEST else None


def host_of(uri: str) -> str:
    """Return where a redirect URI leads, as people read it."""
    return urlsplit(uri).netloc
