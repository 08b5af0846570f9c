"""The seams around a connection: the ways to answer behind it, what they ask of it, and what it asks of its server."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from aiohttp import web

from gateway.config.schema import HttpLimits
from gateway.request.malformed import Page
from gateway.server.fastpath import FastPath

RequestHandler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Way(Protocol):
    """A way to answer, the fast path or the ordinary one: what the connection tells it of its one request."""

    def body(self, data: bytes) -> None: ...
    def body_end(self) -> None: ...
    def body_broken(self, cause: str) -> None: ...
    def pause_writing(self) -> None: ...
    def resume_writing(self) -> None: ...
    def client_gone(self, exc: BaseException | None) -> None: ...


class ClientSide(Protocol):
    """What the ordinary path asks of the connection."""

    writing_paused: bool

    @property
    def may_stay_open(self) -> bool: ...
    def hold_body(self) -> None: ...
    def release_body(self) -> None: ...
    def answered(self, *, keep: bool) -> None: ...
    def failed(self, *, began: bool) -> None: ...
    def cut(self) -> None: ...
    def become_tunnel(self, early: Callable[[bytes], object]) -> None: ...
    def connection_lost(self, exc: BaseException | None) -> None: ...


class Accepting(Protocol):
    """The server that a connection belongs to."""

    handler: RequestHandler
    limits: HttpLimits
    fast: FastPath | None
    page: Page | None
    chosen: Callable[[], bool] | None
    draining: bool
    linger: float

    def admit(self, connection: Any) -> bool: ...
    def left(self, connection: Any, task: "asyncio.Task[None] | None") -> None: ...
