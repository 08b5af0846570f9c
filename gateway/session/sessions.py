"""Starts, raises and ends sessions, and puts their cookie on our pages.

Proxied responses never carry our Set-Cookie.
"""

import secrets
from dataclasses import replace

from aiohttp import web

from gateway.errors import SessionEnded
from gateway.model import Principal, SessionRecord
from gateway.policy.decide import SECOND_FACTORS
from gateway.session.binding import LONGEST_AGENT
from gateway.session.cookie import Content
from gateway.session.reading import SessionReader
from gateway.stores.protocols.core import Change


class Sessions(SessionReader):
    """Opens, starts, raises and ends sessions."""

    async def rise(
        self,
        principal: Principal | None,
        username: str,
        factor: str,
        *,
        ip: str,
        user_agent: str,
        step_up: bool = False,
        key_model: str = "",
        keep: bool = False,
        provider_groups: tuple[str, ...] | None = None,
    ) -> SessionRecord:
        """A factor was proven: a new session id that carries what this user had proven so far; the old one ends.

        Raises SessionEnded if the old one has ended meanwhile: what it had proven counts no more. `step_up` asks
        for a second factor whatever the route; only a real one settles that. `key_model`: of a security key. `keep`
        makes the session one that is kept; one that is kept stays so. `provider_groups` are those that an identity
        provider names now; None: it was not asked, and those from before stay.
        """
        now, lives = self._clock(), self.expiry.lifetimes
        old = principal.session if principal and principal.username == username else None
        kept = (keep and lives.kept > 0) or (old is not None and old.kept)
        created_at = old.created_at if old else now
        expires_at = old.expires_at if old else now + lives.absolute
        if kept and not (old and old.kept):
            expires_at = created_at + lives.kept
        record = SessionRecord(
            sid=secrets.token_urlsafe(),
            username=username,
            amr=tuple(dict.fromkeys((*(old.amr if old else ()), factor))),
            proven_at={**(old.proven_at if old else {}), factor: now},
            created_at=created_at,
            last_seen=now,
            expires_at=expires_at,
            ip=ip,
            user_agent=user_agent[:LONGEST_AGENT],
            step_up=(step_up or (old is not None and old.step_up)) and factor not in SECOND_FACTORS,
            device_id=old.device_id if old else "",
            device_key=old.device_key if old else "",
            device_at=old.device_at if old else 0.0,
            key_models={**(old.key_models if old else {}), **({key_model: now} if key_model else {})},
            kept=kept,
            provider_groups=(old.provider_groups if old else ())
            if provider_groups is None
            else provider_groups,
        )
        if not await self._sessions.put(record, instead_of=old.sid if old else ""):
            raise SessionEnded(f"a session of {username} ended while it was proving {factor}")
        if old is not None:
            self._forget(Change("session", old.sid))
        elif principal is not None:  # somebody else's
            await self.end(principal.session.sid)
        return record

    async def end(self, sid: str) -> None:
        await self._sessions.delete(sid)
        self._forget(Change("session", sid))

    async def end_others(self, username: str, keep: str) -> int:
        """End all sessions of a user but `keep`, on this worker at once; return how many."""
        count = await self._sessions.delete_for_user(username, keep=keep)
        for sid in self._cache.sids_of(username):
            if sid != keep:
                self._forget(Change("session", sid))
        return count

    async def attach(
        self,
        request: web.BaseRequest,
        response: web.StreamResponse,
        of: str | SessionRecord | None,
        *,
        csrf: str = "",
        host: str = "",
    ) -> None:
        """Put a cookie for a session on the response, with a new csrf token unless one is given.

        `of` is the session's id, its record if it was made for this very request, or None for a visitor.
        It also says whose session it is and how long: when it has ended, the store knows nothing of it any more.
        `host` is the only one where the cookie is to count: a remote host's, outside `session.domain`. The browser
        forgets it when it is closed, but for a session that is kept.
        """
        content = Content(csrf or self.new_csrf(), host=host)
        record = await self._sessions.get(of) if isinstance(of, str) else of
        if record is not None:
            content = replace(content, sid=record.sid, username=record.username, until=int(record.expires_at))
            if self.devices.offered:
                self.devices.offer(response, record, host)
        left = int(record.expires_at - self._clock()) if record is not None and record.kept else None
        await self._cookie.write(request, response, content, host_only=bool(host), lifetime=left)

    def ended(self, cookie_header: str) -> str:
        """The user whose session this cookie stood for, "" if it was none or ended long ago. Does no I/O."""
        return self._cookie.ended(cookie_header, self._clock())

    async def detach(
        self, request: web.BaseRequest, response: web.StreamResponse, *, host_only: bool = False
    ) -> None:
        """Have the browser forget its cookies; `host_only` is for hosts outside `session.domain`."""
        self.devices.drop(request, response)
        await self._cookie.write(request, response, None, host_only=host_only)
