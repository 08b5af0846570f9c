"""Answers the authority when it asks, over port 80, whether a name is ours (http-01, RFC 8555 §8.3)."""

import re

from aiohttp import web

from gateway.errors import RequestRefused
from gateway.model import Target
from gateway.observability.access_log import Trace
from gateway.server.tls.acme.records import AcmeRecords

WELL_KNOWN = "/.well-known/acme-challenge/"
_TOKEN = re.compile(r"[A-Za-z0-9_-]{16,256}")


class HttpProofs:
    """Answers the authority's requests for proofs, which come over http to any worker of any replica."""

    def __init__(self, records: AcmeRecords) -> None:
        self._records = records

    async def find(self, target: Target) -> web.StreamResponse | None:
        """Return the answer; None for a token that nobody has been given. Raises StoreUnavailable."""
        token = target.path.removeprefix(WELL_KNOWN)
        if target.method not in ("GET", "HEAD") or not _TOKEN.fullmatch(token):
            return None
        value = await self._records.shown(token)
        if value is None:
            return None
        headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
        return web.Response(
            body=value.encode(), headers={"Content-Type": "application/octet-stream", **headers}
        )

    async def answer(
        self, request: web.BaseRequest, target: Target, trace: Trace, *, trusted_peer: bool
    ) -> web.StreamResponse:
        """Answer a proof. Raises RequestRefused (404) if there is none."""
        trace.route = "acme"
        found = await self.find(target)
        if found is None:
            raise RequestRefused("no proof of this token is wanted", status=404)
        return found
