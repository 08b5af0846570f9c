"""What answers on addresses without TLS beside https (`server.listen` on port 80): redirects, and nothing of anybody's.

It also proves to an ACME authority that our names are ours (RFC 8555 §8.3), and says that we are alive.
"""

import socket
from collections.abc import Callable, Sequence
from urllib.parse import quote, urlsplit

from aiohttp import web

from gateway.config.schema import Server
from gateway.errors import RequestRefused
from gateway.i18n.text import N_
from gateway.model import Target
from gateway.observability.access_log import Trace
from gateway.request.target import parse_authority
from gateway.server.handler import Door

_AS_SENT = "".join(map(chr, range(0x21, 0x7F)))


def is_plain(server: Server, sock: socket.socket) -> bool:
    """Tell whether a listening socket is of an address that only redirects. Workers know it by its port."""
    if sock.family not in (socket.AF_INET, socket.AF_INET6):
        return False
    port = str(sock.getsockname()[1])
    return any(one.rpartition(":")[2] == port for one in server.plain)


class PlainRedirects:
    """Sends browsers from http to the same address in https, at hosts that are ours only."""

    def __init__(self, public_url: str, *, prefix: str, serves_host: Callable[[str], bool]) -> None:
        """`serves_host` says whether any route is for a host; `prefix` is where our own pages are."""
        parts = urlsplit(public_url)
        self._home, self._port = parse_authority(parts.netloc)[0], parts.port or 443
        self._alive, self._serves_host = f"{prefix}/healthz", serves_host

    def doors(self, first: Sequence[Door] = ()) -> tuple[Door, ...]:
        """Return who answers here: `first`, then these."""
        return (
            *first,
            Door(name="alive", exact=frozenset({self._alive}), below=(), answer=self.alive),
            Door(name="redirect", exact=frozenset(), below=("",), answer=self.redirect),
        )

    async def alive(
        self, request: web.BaseRequest, target: Target, trace: Trace, *, trusted_peer: bool
    ) -> web.StreamResponse:
        """Say that this worker lives, for load balancers that look at port 80."""
        trace.route = "portal"
        return web.Response(text="ok\n", headers={"Cache-Control": "no-store"})

    async def redirect(
        self, request: web.BaseRequest, target: Target, trace: Trace, *, trusted_peer: bool
    ) -> web.StreamResponse:
        """Answer 308, which keeps the method (RFC 9110 §15.4.9). Raises RequestRefused for a host that is not ours."""
        trace.route = "redirect"
        host = target.host
        if host != self._home and not self._serves_host(host):
            raise RequestRefused(
                f"no route for {host}, so nothing to redirect to",
                status=404,
                public=N_("There is nothing here."),
            )
        name = f"[{host}]" if ":" in host else host
        port = "" if self._port == 443 else f":{self._port}"
        to = f"https://{name}{port}{target.uri}"
        headers = {"Location": quote(to.encode("utf-8", "surrogateescape"), safe=_AS_SENT)}
        return web.Response(status=308, headers=headers)
