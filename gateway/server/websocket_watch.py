"""Closes WebSockets that may stay no longer: their session ended in whatever way, or policy no longer lets it pass.

A WebSocket neither keeps its session alive nor outlives it. The store is asked only when a session could have
expired, or when somebody changed it; policy (times, `max_age`, groups) is asked at each look, which needs no I/O.
"""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from gateway.errors import StoreUnavailable
from gateway.model import Principal, Verdict
from gateway.policy.decide import decide
from gateway.proxy.proxy import Admitted, Tunnels
from gateway.proxy.websocket import NOT_ALLOWED
from gateway.session import Sessions
from gateway.stores.protocols.core import Change

log = logging.getLogger("gateway.tunnelwatch")
LOOK_EVERY = 5.0
"""Seconds: so much later than its session a WebSocket may end. Revocations don't wait for it."""


@dataclass(slots=True)
class _Known:
    principal: Principal
    good_until: float


class TunnelWatch:
    def __init__(self, sessions: Sessions, tunnels: Tunnels) -> None:
        self._sessions, self._tunnels = sessions, tunnels
        self._known: dict[str, _Known] = {}
        self._changed = asyncio.Event()

    def hear(self, change: Change) -> None:
        """A session ended, or a user is not who they were."""
        if change.kind == "session":
            self._tunnels.close_session(change.subject)
            return
        for sid, admitted in self._tunnels.admitted().items():
            principal = admitted[0].principal
            if principal.username == change.subject:
                self._known[sid] = _Known(principal, float("-inf"))
        self._changed.set()

    async def run(self, interval: float = LOOK_EVERY) -> None:
        """Look again and again, at once after a change, until cancelled."""
        while True:
            with suppress(TimeoutError):  # nothing changed: time for a look at the clock
                async with asyncio.timeout(interval):
                    await self._changed.wait()
            self._changed.clear()
            await self.look()

    async def look(self) -> None:
        """Judge every open WebSocket once."""
        held = self._tunnels.admitted()
        for sid, admitted in held.items():
            try:
                await self._judge(sid, admitted)
            except StoreUnavailable as error:  # what can't be read is not judged: the next look asks again
                log.warning("WebSockets of a session can't be judged: %s", error.detail)
        self._known = {sid: known for sid, known in self._known.items() if sid in held}

    async def _judge(self, sid: str, admitted: Sequence[Admitted]) -> None:
        principal = await self._standing(sid, admitted[0].principal)
        if principal is None:
            self._tunnels.close_session(sid)
            return
        now = self._sessions.now()
        for one in admitted:
            if decide(one.route, one.target, principal, now).verdict is not Verdict.ALLOW:
                one.tunnel.close(NOT_ALLOWED, "no longer allowed")

    async def _standing(self, sid: str, principal: Principal) -> Principal | None:
        """Who the session stands for by now, None if it has ended."""
        now, known = self._sessions.now(), self._known.get(sid)
        if known is None:
            known = self._known[sid] = _Known(principal, self._good_until(principal))
        if now < known.good_until:
            return known.principal
        current = await self._sessions.look_up(principal.session)
        if current is not None:
            self._known[sid] = _Known(current, self._good_until(current))
        return current

    def _good_until(self, principal: Principal) -> float:
        """Credentials of one request (a token, HTTP Basic) make no stored session: they hold until the user changes."""
        session = principal.session
        return (
            float("inf") if session.expires_at <= session.created_at else self._sessions.could_end_at(session)
        )
