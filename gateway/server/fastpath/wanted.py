"""What an exchange is given: the request as it is to be asked, and the client's connection."""

import asyncio
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from gateway.model import Decision
from gateway.proxy.request_headers import request_target
from gateway.proxy.upstreams import PreparedRoute, Upstream
from gateway.request.framing import Body
from gateway.request.target import REQUEST_ID
from gateway.server.fastpath.header_plans import HeaderPlan, Rendered, target_of
from gateway.server.fastpath.request_head import FastRequestHead, RequestLine
from gateway.server.fastpath.upstream_wires import WirePool

_NAME = REQUEST_ID.encode() + b": "


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
    """What is known of a plain request that policy allows, and of those like it."""

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

    line: RequestLine
    allowed: Allowed
    out: bytes
    body: Body | None
    chunked: bool
    stock: WirePool
    name: str
    since: float


def head_of(head: FastRequestHead, allowed: Allowed, name: str) -> bytes:
    """The whole head of a request as the upstream gets it; `name` is the request's id."""
    plan, site, upstream, rendered, _ = allowed
    line = head.line
    # Where no prefix is added or stripped the request line goes on as it came: `split_head` took only paths that have
    # one spelling, so it is what the canonical target would be written as.
    asked = line.asked
    if not rendered.plain_target:
        target = target_of(plan, line.method, line.path, line.query)
        place = request_target(target, upstream.address.base, site.rules.prefix)
        asked = b"%b %b" % (line.method.encode(), place)
    # The body's framing, once and ours (RFC 9112 §6.3): it was cut out of the block that the plan is made of.
    framing = b""
    if head.chunked:
        framing = b"Transfer-Encoding: chunked\r\n"
    elif head.length is not None:
        framing = b"Content-Length: %d\r\n" % head.length
    told = _NAME + name.encode() + b"\r\n\r\n" if rendered.named else b"\r\n"
    return b"".join((asked, rendered.start, framing, rendered.block, told))
