"""Answers that are under way, by the session that asked: one that has ended gets no more of them.

An event stream or a large download may last for hours, long after the request was judged.
"""

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from aiohttp import web

from gateway.config.schema import Route
from gateway.errors import SessionEnded
from gateway.model import Principal, Target
from gateway.proxy.client_response import BEGAN, RelayedResponse
from gateway.proxy.round_trip import RoundTrip
from gateway.proxy.upstream_connection import ResponseHead


class Held(Protocol):
    """Something that a session holds open: a WebSocket, an answer."""

    def close(self, code: int, reason: str) -> None:
        """End it; `code` and `reason` are those of a WebSocket's Close frame."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Admitted:
    """What is held open, and what was decided on when it began, so that it can be decided again."""

    held: Held
    route: Route
    target: Target
    principal: Principal


class HeldAnswers:
    """The answers of this process that are under way to somebody whom we know."""

    def __init__(self) -> None:
        self._by_session: dict[str, set[Admitted]] = {}

    @contextmanager
    def registered(self, one: Admitted) -> Iterator[None]:
        """Hold it as long as the context lasts: before the app is asked, so that no change is missed."""
        sid = one.principal.session.sid
        self._by_session.setdefault(sid, set()).add(one)
        try:
            yield
        finally:
            group = self._by_session[sid]
            group.discard(one)
            if not group:
                del self._by_session[sid]

    def admitted(self) -> dict[str, list[Admitted]]:
        """Session id -> what it holds open."""
        return {sid: list(group) for sid, group in self._by_session.items()}


_CONTENT_TYPE = re.compile(rb"(?i)\r\ncontent-type:[ \t]*([^\r]*)")


def content_type_of(head: bytes) -> bytes:
    """The Content-Type in the bytes of a response head; empty if there is none."""
    found = _CONTENT_TYPE.search(head)
    return found[1] if found else b""


def may_finish(route: Route, content_type: bytes) -> bool:
    """Whether an answer that has begun may go on without its session; an event stream has no end to wait for."""
    return route.finish_downloads and not content_type.strip().lower().startswith(b"text/event-stream")


class HeldAnswer:
    """One round trip that can be ended from elsewhere."""

    def __init__(self, request: web.BaseRequest, route: Route, trip: RoundTrip) -> None:
        self._request, self._route, self._trip = request, route, trip
        self._task: asyncio.Task[object] | None = None
        self._ended = ""

    async def run(self) -> RelayedResponse:
        """Make the round trip. Raises SessionEnded if it is ended before the client got anything."""
        self._task = asyncio.current_task()
        try:
            return await self._trip.run()
        except asyncio.CancelledError:
            if not self._ended or self._task is None or self._task.uncancel():
                raise  # the client has left, or the gateway ends
        finally:
            self._task = None
        # Before the head went out there is still a page to be shown; behind it only the connection can be cut.
        if BEGAN not in self._request:
            raise SessionEnded(f"{self._ended} while its request was under way")
        return self._cut()

    def close(self, code: int, reason: str) -> None:
        """End it now, unless it may finish."""
        head = self._trip.head
        may_finish = head is not None and BEGAN in self._request and _may_finish(self._route, head)
        if self._task is not None and not self._ended and not may_finish:
            # Cancelling ends the wait for the app or the client, wherever it is. `run` tells by `_ended` that it was
            # this and not the client's leaving.
            self._ended = reason
            self._task.cancel()

    def _cut(self) -> RelayedResponse:
        """The client sees that this is not all (RFC 9112 §8)."""
        if self._request.transport is not None:
            self._request.transport.abort()
        self._request.protocol.force_close()
        response = RelayedResponse(self._trip.head.status if self._trip.head else 502)
        response.force_close()
        response.broke_off = self._ended
        return response


def _may_finish(route: Route, head: ResponseHead) -> bool:
    """An event stream has no end that could be waited for."""
    types = [value for name, value in head.headers if name.lower() == b"content-type"]
    return may_finish(route, b"".join(types))
