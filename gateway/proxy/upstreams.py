"""The upstreams of a route: their addresses, whose turn it is, which are down, and their idle connections.

`round_trip` decides what is tried again.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urlsplit

from gateway.clock import Clock
from gateway.config.schema import Route, UpstreamTls
from gateway.errors import UpstreamTimeout, UpstreamUnreachable
from gateway.model import Target
from gateway.proxy.load_balancing import ranking, turns
from gateway.proxy.request_headers import HeaderRules
from gateway.proxy.response_headers import Rewriter
from gateway.proxy.upstream_connection import UpstreamConnection, tls_context

log = logging.getLogger("gateway.upstream")
P = TypeVar("P", bound=asyncio.Protocol)

DOWN_FOR = 5.0
"""Seconds for which an upstream that refused a connection is tried last."""
KEEP_IDLE = 30.0
"""Seconds an unused connection is kept."""
RISKY_AFTER = 1.0
"""A connection idle for longer may be closing at the other end; don't send on it what can't be sent again."""
IDLE_CONNECTIONS = 128
"""So many are kept for one upstream."""


class NotConnected(UpstreamUnreachable):
    """No connection was made, so any request may be tried elsewhere."""


class ConnectTimeout(UpstreamTimeout):
    """No connection was made within `timeouts.connect`, so that any request may be tried elsewhere."""


@dataclass(frozen=True, slots=True)
class UpstreamHealth:
    """One upstream as readyz and metrics report it; `error` is the last failure while it is down."""

    route: str
    url: str
    healthy: bool
    error: str = ""


@dataclass(frozen=True, slots=True)
class UpstreamAddress:
    """A parsed upstream URL. `base` is its path without a trailing slash, prepended to what is forwarded."""

    url: str
    tls: bool
    host: str
    port: int
    unix_path: str = ""
    base: str = ""

    @classmethod
    def parse(cls, url: str) -> "UpstreamAddress":
        """Parse `http://…`, `https://…` or `unix:/path`. Raises ValueError."""
        if url.startswith("unix:"):
            return cls(
                url=url,
                tls=False,
                host="localhost",
                port=80,
                unix_path="/" + url.removeprefix("unix:").lstrip("/"),
            )
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"not an upstream URL: {url}")
        tls = parts.scheme == "https"
        return cls(
            url=url,
            tls=tls,
            host=parts.hostname,
            port=parts.port or (443 if tls else 80),
            base=parts.path.rstrip("/"),
        )

    @property
    def scheme(self) -> str:
        return "https" if self.tls else "http"

    @property
    def authority(self) -> str:
        """Host and port as a Host header writes them: a port that the scheme implies is left out (RFC 9110 §4.2.3)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.tls else 80) else f"{host}:{self.port}"


class Upstream:
    """One address with its idle connections and what is known of its health."""

    def __init__(self, address: UpstreamAddress, tls: UpstreamTls, clock: Clock) -> None:
        self.address = address
        self.passing = True  # the health check's word
        self.error = ""
        self._clock = clock
        self._down_until = 0.0
        self._server_name = tls.server_name
        self._context = tls_context(tls) if address.tls else None
        self._idle: deque[UpstreamConnection] = deque()

    @property
    def available(self) -> bool:
        """Whether it is available now."""
        return self.available_at(self._clock())

    def available_at(self, now: float) -> bool:
        """Whether the health checks let it pass and it has not just refused a connection."""
        return self.passing and now >= self._down_until

    def failed(self, error: Exception) -> None:
        """Note that no connection was made, or that one broke: the upstream is asked last for DOWN_FOR seconds."""
        self.troubled(str(error))
        self._down_until = self._clock() + DOWN_FOR

    def troubled(self, error: str) -> None:
        """Note what is wrong. Failover hides it from users, so it is logged, once until it is over."""
        if not self.error:
            log.warning("upstream fails: %s", error)
        self.error = error

    def answered(self) -> None:
        """Note that the upstream answered: it is asked in its turn again."""
        self._down_until = 0.0
        if self.passing and self.error:
            log.warning("upstream answers again: %s", self.address.url)
            self.error = ""

    def reuse(self, *, replayable: bool) -> UpstreamConnection | None:
        """Take the most recently used idle connection; one in use lately unless the request is `replayable`."""
        # A server may close an idle connection at any moment (RFC 9112 §9.3.1). A request that may be repeated can
        # risk it; another one gets only a connection that was in use a moment ago.
        oldest = self._clock() - (KEEP_IDLE if replayable else RISKY_AFTER)
        while self._idle:
            connection = self._idle.pop()
            if connection.idle_since < oldest:
                self._idle.append(connection)
                return None
            connection.forget = None
            if connection.reusable:
                return connection
        return None

    async def connect(self, timeout: float) -> UpstreamConnection:  # noqa: ASYNC109 - the caller's setting, one meaning
        """Open a connection within `timeout` seconds (0 = no limit). Raises NotConnected and ConnectTimeout, which
        mark the upstream as down.
        """
        return await self.open(UpstreamConnection, timeout)

    async def open(self, factory: Callable[[], P], timeout: float) -> P:  # noqa: ASYNC109
        """Open a connection that speaks the protocol made by `factory`, within `timeout` seconds (0 = no limit).

        Raises ConnectTimeout and NotConnected, which mark the upstream as down.
        """
        try:
            async with asyncio.timeout(timeout or None):
                return await self._open(factory)
        except TimeoutError as error:
            late = ConnectTimeout(f"{self.address.url}: no connection within {timeout:g} s")
            self.failed(late)
            raise late from error
        except OSError as error:  # ssl.SSLError is one
            refused = NotConnected(f"{self.address.url}: {error}")
            self.failed(refused)
            raise refused from error

    async def _open(self, factory: Callable[[], P]) -> P:
        loop = asyncio.get_running_loop()
        at = self.address
        if at.unix_path:
            return (await loop.create_unix_connection(factory, at.unix_path))[1]
        # The name for SNI (RFC 6066 §3) and for the check of the certificate (RFC 9110 §4.3.4): of the URL, or what
        # `tls.server_name` says for an app that is reached by an address.
        name = (self._server_name or at.host) if self._context else None
        _, connection = await loop.create_connection(
            factory, at.host, at.port, ssl=self._context, server_hostname=name
        )
        return connection

    def release(self, connection: UpstreamConnection) -> None:
        """Keep a connection for the next request if it is good for one, else close it."""
        self._close_old()
        if not connection.reusable or len(self._idle) >= IDLE_CONNECTIONS:
            connection.abort()
            return
        connection.fresh = False
        connection.idle_since = self._clock()
        connection.forget = self._forget
        self._idle.append(connection)

    def _forget(self, connection: UpstreamConnection) -> None:
        self._idle.remove(connection)

    def _close_old(self) -> None:
        while self._idle and self._idle[0].idle_since < self._clock() - KEEP_IDLE:
            self._drop(self._idle.popleft())

    def close(self) -> None:
        """Close the connections that wait for a request."""
        while self._idle:
            self._drop(self._idle.popleft())

    @staticmethod
    def _drop(connection: UpstreamConnection) -> None:
        connection.forget = None
        connection.abort()


class Pool:
    """A route's upstreams in the order in which they are asked: by turns, or each user's own first; those that are
    down last.
    """

    def __init__(self, route: Route, clock: Clock) -> None:
        self.route = route
        self.upstreams = [Upstream(UpstreamAddress.parse(url), route.tls, clock) for url in route.upstreams]
        self._weights = route.weights or (1,) * len(self.upstreams)
        self._turns = turns(self._weights)
        self._next = 0
        self.sticky = route.balance == "sticky" and len(self.upstreams) > 1

    def candidates(self, who: str = "") -> Iterator[Upstream]:
        """Yield each upstream once, those that are down last. `who` (see `identity_of`) decides where it
        is sticky.
        """
        if self.sticky and who:
            numbers = ranking(who, self.route.upstreams, self._weights)
            order = [self.upstreams[number] for number in numbers]
        else:
            start = self._turns[self._next]
            self._next = (self._next + 1) % len(self._turns)
            order = self.upstreams[start:] + self.upstreams[:start]
        # Down is only asked last, not left out: what we know is some seconds old, and a try costs less than a 502.
        # Sorting is stable, so the order stays otherwise.
        yield from sorted(order, key=lambda upstream: not upstream.available)

    def next(self, who: str = "") -> Upstream:
        """The first of the candidates."""
        return self.upstreams[0] if len(self.upstreams) == 1 else next(self.candidates(who))

    def health(self) -> list[UpstreamHealth]:
        """Return the state of each upstream."""
        label = self.route.label
        return [
            UpstreamHealth(
                route=label,
                url=one.address.url,
                healthy=one.available,
                error="" if one.available else one.error,
            )
            for one in self.upstreams
        ]

    def close(self) -> None:
        """Close the idle connections of all upstreams."""
        for upstream in self.upstreams:
            upstream.close()


@dataclass(frozen=True)
class PreparedRoute:
    """A route made ready for proxying: its header rules compiled, its upstreams parsed."""

    route: Route
    rules: HeaderRules
    pool: Pool

    @classmethod
    def of(cls, route: Route, own_cookies: Iterable[str], clock: Clock) -> "PreparedRoute":
        return cls(route, HeaderRules.of(route, own_cookies), Pool(route, clock))

    def rewriter(self, upstream: UpstreamAddress, target: Target, *, known: bool = False) -> Rewriter:
        """The rewriter for a response of this upstream to a request for `target`; `known`: a principal asks.

        An upstream that sees the public Host takes it for its own name, often with the wrong scheme, so that counts
        as its address, too.
        """
        own = {(scheme, upstream.authority) for scheme in ("http", "https")}
        if self.route.preserve_host:
            own |= {("http", target.authority), (target.scheme, target.authority)}
        return Rewriter(
            rules=self.route.rewrite,
            target=target,
            origins=frozenset(own),
            own_cookies=self.rules.own_cookies,
            base=upstream.base,
            prefix=self.rules.prefix,
            private=known and not self.route.cacheable,
        )
