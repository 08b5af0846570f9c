"""What an exchange is given: the request as it is to be asked, and the client's connection."""

import asyncio
import time
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from gateway.model import Decision
from gateway.proxy.upstreams import PreparedRoute, Upstream
from gateway.request.framing import Body
from gateway.server.fastpath.header_plans import HeaderPlan, Rendered
from gateway.server.fastpath.upstream_wires import WirePool


class ExchangeClient(Protocol):
    """What an exchange needs of the client's connection."""

    transport: asyncio.Transport | None

    @property
    def may_stay_open(self) -> bool:
        """Whether another request may follow."""

    def hold_body(self) -> None:
        """Take no more of the request's body."""

    def release_body(self) -> None:
        """Go on with the body."""

    def hand_over(self) -> None:
        """Let the ordinary path answer."""

    def answered(self, *, keep: bool) -> None:
        """The answer is written."""

    def cut(self) -> None:
        """Break the connection, so that the answer looks incomplete."""


class Allowed(NamedTuple):
    """A plain request that policy allows, and what is known of requests like it."""

    plan: HeaderPlan
    site: PreparedRoute
    upstream: Upstream
    rendered: Rendered
    decision: Decision


@dataclass(slots=True)
class Wanted:
    """An allowed request: what to send, and where; then what the log says of it.

    Attributes:
        out: the request's head, whole, as the upstream gets it.
        body: reads the framing of the client's body; None if there is none.
        name: the request's id in the log.
        since: when it began (`time.perf_counter`, seconds).
    """

    method: str
    path: str
    query: str
    out: bytes
    body: Body | None
    chunked: bool
    site: PreparedRoute
    upstream: Upstream
    stock: WirePool
    rendered: Rendered
    plan: HeaderPlan
    name: str
    decision: Decision
    since: float = field(default_factory=time.perf_counter)
