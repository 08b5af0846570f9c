"""Requests to a provider: answers are JSON of a few hundred KiB at most, within a few seconds, and failures are
named.
"""

import json
import socket
import ssl
from collections.abc import Mapping
from ipaddress import IPv6Address, ip_address
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from multidict import CIMultiDict

from gateway.authn.federation.base import ProviderUnavailable
from gateway.request.small_body import read_answer

_TIMEOUT = aiohttp.ClientTimeout(total=10, connect=5)
_LARGEST = 512 * 1024


class ProviderHttp:
    """An HTTP client for one provider; `name` is for the log, `tls` what to trust instead of the system's authorities,
    `names` finds addresses instead of the system's resolver.

    It opens its session at the first request.
    """

    def __init__(
        self, name: str, *, tls: ssl.SSLContext | None = None, names: AbstractResolver | None = None
    ) -> None:
        self._name, self._tls, self._names = name, tls, names
        self._session: aiohttp.ClientSession | None = None

    async def get(self, url: str, *, token: str = "") -> Any:
        """GET JSON, or the text of a JWT, with `token` as Bearer (RFC 6750 §2.1).

        Raises ProviderUnavailable and NotSignedIn.
        """
        headers = {"Accept": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        return await self._json("GET", url, headers=headers)

    async def post(self, url: str, form: Mapping[str, str], authorization: str = "") -> Any:
        """POST a form and read JSON. Raises ProviderUnavailable and NotSignedIn."""
        headers = {"Accept": "application/json"}
        if authorization:
            headers["Authorization"] = authorization
        return await self._json("POST", url, headers=headers, data=dict(form))

    async def _json(self, method: str, url: str, **more: Any) -> Any:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(resolver=self._names),
                timeout=_TIMEOUT,
                headers=CIMultiDict({"User-Agent": "auth-gateway"}),
            )
        try:
            async with self._session.request(
                method, url, allow_redirects=False, ssl=self._tls or True, **more
            ) as answer:
                body = await read_answer(answer.content, _LARGEST + 1)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ProviderUnavailable(
                f"{self._name}: {method} {url}: {error or type(error).__name__}"
            ) from error
        if answer.status >= 500 or len(body) > _LARGEST:
            raise ProviderUnavailable(
                f"{self._name}: {method} {url} answered {answer.status}, {len(body)} bytes"
            )
        if answer.content_type == "application/jwt":
            return body.decode(errors="replace").strip()
        return self._parsed(body, f"{method} {url}", answer.status)

    def _parsed(self, body: bytes, what: str, status: int) -> Any:
        try:
            return {**parsed, "_status": status} if isinstance(parsed := json.loads(body), dict) else parsed
        except (ValueError, RecursionError):
            raise ProviderUnavailable(f"{self._name}: {what} answered {status} without JSON") from None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()


class PublicAddresses(AbstractResolver):
    """Finds public addresses alone: a name that somebody else chose must not lead into the operator's network.

    The connection goes to what was found here, so a name can't change between the look and the visit (DNS rebinding).
    """

    def __init__(self, names: AbstractResolver) -> None:
        self._names = names

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of a name. Raises OSError if any of them is not public."""
        found = await self._names.resolve(host, port, family)
        for one in found:
            if not _is_public(one["host"]):
                raise OSError(None, f"{host} leads inside, to {one['host']}")
        return found

    async def close(self) -> None:
        """Close what it asks."""
        await self._names.close()


def _is_public(text: str) -> bool:
    address = ip_address(text.partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_global
