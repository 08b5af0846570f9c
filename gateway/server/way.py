"""The seams around a connection: the ways to answer behind it, what they ask of it, and what it asks of its server."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from aiohttp import web

from gateway.config.schema import HttpLimits, Network
from gateway.request.malformed import Page
from gateway.server.fastpath import FastPath

if TYPE_CHECKING:
    from gateway.server.carried import CarriedRequests

RequestHandler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Way(Protocol):
    """A way to answer, the fast path or the ordinary one: what the connection tells it of its one request."""

    def body(self, data: bytes) -> None:
        """Take a piece of the request's body."""

    def body_end(self) -> None:
        """Hear that the body is complete."""

    def body_broken(self, cause: str) -> None:
        """Hear that the body's framing can't be read, and why."""

    def pause_writing(self) -> None:
        """Stop: the client takes the answer more slowly than it is made."""

    def resume_writing(self) -> None:
        """Go on: the client has taken enough."""

    def client_gone(self, exc: BaseException | None) -> None:
        """Hear that the client has left; `exc` says how, None for an ordinary end."""


class ClientSide(Protocol):
    """What the ordinary path asks of the connection."""

    writing_paused: bool

    @property
    def may_stay_open(self) -> bool:
        """Whether another request may follow this one."""

    def hold_body(self) -> None:
        """Take no more of the body from the client."""

    def release_body(self) -> None:
        """Go on with the body."""

    def answered(self, *, keep: bool) -> None:
        """Hear that the answer is written; `keep` unless it said that the connection closes."""

    def failed(self, *, began: bool) -> None:
        """Hear that no answer comes; `began` if a part of one is out."""

    def cut(self) -> None:
        """Break the connection, so that the answer looks incomplete."""

    def become_tunnel(self, early: Callable[[bytes], object]) -> None:
        """Give up the connection to a tunnel; `early` takes what the client has sent already."""

    def connection_lost(self, exc: BaseException | None) -> None:
        """Hear that the tunnel has ended."""


class Accepting(Protocol):
    """The server that a connection belongs to."""

    handler: RequestHandler
    limits: HttpLimits
    fast: FastPath | None
    page: Page | None
    chosen: Callable[[], bool] | None
    draining: bool
    linger: float
    announced: Sequence[Network]
    carried: "CarriedRequests | None"

    def admit(self, connection: Any) -> bool:
        """Count a new connection; False if there is no room for it."""

    def left(self, connection: Any, task: "asyncio.Task[None] | None") -> None:
        """Hear that a connection is gone; `task` may still be ending what it did."""
