"""Where a connection comes from."""

import asyncio
from dataclasses import dataclass
from functools import lru_cache

from gateway.model import IPAddress
from gateway.request.forwarded import peer_address


@dataclass(frozen=True, slots=True)
class ClientAddress:
    """Where a connection comes from: parsed, as text, and whether it is TLS."""

    peer: IPAddress | None
    text: str | None
    secure: bool

    @classmethod
    def of(cls, transport: asyncio.BaseTransport) -> "ClientAddress":
        """Read the address of an accepted connection; both forms of it are None on a unix socket."""
        name = transport.get_extra_info("peername")
        text = str(name[0]) if isinstance(name, tuple) else None
        return _client_address(text, transport.get_extra_info("sslcontext") is not None)


@lru_cache(maxsize=4096)
def _client_address(text: str | None, secure: bool) -> ClientAddress:
    """Clients open one connection after the other, and an address is dear to read."""
    return ClientAddress(peer=None if text is None else peer_address((text,)), text=text, secure=secure)
