"""Ends what may stay open no longer: its session ended in whatever way, or policy no longer lets it pass.

A WebSocket does not outlive its session, and what its client sends keeps the session alive. An answer that is under way
ends when its session is ended or its user may no longer ask; one that merely expires lets answers finish. The store is
asked only when a session could have expired, or when somebody changed it; policy (times, `max_age`, groups) is asked at
each look, which needs no I/O.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from gateway.errors import StoreUnavailable
from gateway.model import Principal, Verdict
from gateway.policy.decide import decide
from gateway.proxy.client_response import Admitted
from gateway.proxy.proxy import Tunnels
from gateway.proxy.websocket import NOT_ALLOWED, SESSION_ENDED
from gateway.proxy.websocket_tunnel import Tunnel
from gateway.session import Sessions
from gateway.stores.protocols.core import Change

log = logging.getLogger("gateway.tunnelwatch")
LOOK_EVERY = 5.0
"""Seconds: so much later than its session a WebSocket may end. Revocations don't wait for it."""

AnswersOf = Callable[[], dict[str, list[Admitted]]]


@dataclass(slots=True)
class _Known:
    principal: Principal
    good_until: float
    touched: float = 0.0


class TunnelWatch:
    """Looks after what sessions hold open. `answers` give the answers that are under way, by session."""

    def __init__(self, sessions: Sessions, tunnels: Tunnels, *answers: AnswersOf) -> None:
        self._sessions, self._tunnels, self.answers = sessions, tunnels, list(answers)
        self._known: dict[str, _Known] = {}
        self._changed = asyncio.Event()

    def hear(self, change: Change) -> None:
        """A session ended, or a user is not who they were."""
        if change.kind == "session":
            self._end(change.subject)
            return
        for sid, admitted in self._held(with_answers=True).items():
            principal = admitted[0].principal
            if principal.username == change.subject:
                self._known[sid] = _Known(principal, float("-inf"))
        self._changed.set()

    async def run(self, interval: float = LOOK_EVERY) -> None:
        """Look every `interval` seconds, at once after a change, until cancelled."""
        while True:
            with suppress(TimeoutError):  # nothing changed: time for a look at the clock
                async with asyncio.timeout(interval):
                    await self._changed.wait()
            self._changed.clear()
            await self.look()

    async def look(self) -> None:
        """Judge every open WebSocket once, and the answers to whoever has changed."""
        changed = {sid for sid, known in self._known.items() if known.good_until == float("-inf")}
        held = self._held(with_answers=False)
        held |= {
            sid: everything for sid, everything in self._held(with_answers=True).items() if sid in changed
        }
        for sid, admitted in held.items():
            try:
                if await self._judge(sid, admitted):
                    await self._note_use(sid, admitted)
            except StoreUnavailable as error:  # what can't be read is not judged: the next look asks again
                log.warning("what a session holds open can't be judged: %s", error.detail)
        self._known = {sid: known for sid, known in self._known.items() if sid in held}

    def _held(self, *, with_answers: bool) -> dict[str, list[Admitted]]:
        held = self._tunnels.admitted()
        for answers in self.answers if with_answers else ():
            for sid, admitted in answers().items():
                held.setdefault(sid, []).extend(admitted)
        return held

    def _end(self, sid: str) -> None:
        for one in self._held(with_answers=True).get(sid, ()):
            one.held.close(SESSION_ENDED, "session ended")

    async def _judge(self, sid: str, admitted: Sequence[Admitted]) -> bool:
        """End what may stay open no longer; True if the session goes on."""
        principal = await self._standing(sid, admitted[0].principal)
        now = self._sessions.now()
        for one in admitted:
            if principal is None:
                one.held.close(SESSION_ENDED, "session ended")
            elif decide(one.route, one.target, principal, now).verdict is not Verdict.ALLOW:
                one.held.close(NOT_ALLOWED, "no longer allowed")
        return principal is not None

    async def _note_use(self, sid: str, admitted: Sequence[Admitted]) -> None:
        """What a client sends over a WebSocket keeps its session alive."""
        used = [
            one.held.was_used() and one.route.websocket_activity
            for one in admitted
            if isinstance(one.held, Tunnel)
        ]
        known, now = self._known[sid], self._sessions.now()
        if any(used) and now - known.touched >= self._sessions.expiry.noted_after:
            await self._sessions.touch(sid, now)
            known.touched = now

    async def _standing(self, sid: str, principal: Principal) -> Principal | None:
        """Who the session stands for by now, None if it has ended."""
        now, known = self._sessions.now(), self._known.get(sid)
        if known is None:
            known = self._known[sid] = _Known(principal, self._good_until(principal))
        if now < known.good_until:
            return known.principal
        current = await self._sessions.look_up(sid)
        if current is not None:
            self._known[sid] = _Known(current, self._good_until(current), known.touched)
        return current

    def _good_until(self, principal: Principal) -> float:
        """Credentials of one request (a token, HTTP Basic) make no stored session: they hold until the user changes."""
        session = principal.session
        return (
            float("inf")
            if session.expires_at <= session.created_at
            else self._sessions.expiry.could_end_at(session)
        )
