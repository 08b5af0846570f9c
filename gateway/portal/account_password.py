"""Changing one's own password: the old one is asked for, and every other session ends (security rules 3 and 4)."""

from gateway.audit import Audit
from gateway.directory.base import WritableDirectory
from gateway.language.text import N_
from gateway.limits import FAILURES_IN_A_ROW, PASSWORD_PER_USER, Limits
from gateway.model import Principal, SessionRecord
from gateway.portal.account_news import AccountNews
from gateway.portal.account_sessions import AccountSessions
from gateway.portal.signin import Client
from gateway.session import SessionLayer


class PasswordChange:
    def __init__(
        self,
        directory: WritableDirectory,
        layer: SessionLayer,
        sessions: AccountSessions,
        limits: Limits,
        audit: Audit,
        news: AccountNews,
    ) -> None:
        self._directory, self._layer, self._sessions = directory, layer, sessions
        self._limits, self._audit, self._news = limits, audit, news

    async def change(self, client: Client, principal: Principal, old: str, new: str) -> SessionRecord | None:
        """The session to go on with, under a new id; None if `old` is wrong. Raises WeakPassword, TooManyAttempts."""
        name = principal.username
        self._directory.check_password(new, name)
        if not await self._is_right(client, name, old):
            return None
        await self._directory.set_password(name, new)
        record = await self._layer.rise(
            principal, name, "password", ip=client.ip, user_agent=client.user_agent
        )
        await self._sessions.end_others(client, principal, record.sid)
        sentence = N_("The password was changed. All other sessions and remembered devices were signed out.")
        self._news.tell(principal.user, client, "password_changed", sentence)
        return record

    async def _is_right(self, client: Client, name: str, password: str) -> bool:
        """Counted like a sign-in: a stolen session must not be able to try more passwords than a stranger."""
        await self._limits.check(PASSWORD_PER_USER, name)
        await self._limits.check(FAILURES_IN_A_ROW, f"password:{name}")
        if await self._directory.authenticate(name, password) is not None:
            return True
        self._audit.record("password_failed", name, client.ip, door="account")
        await self._limits.spend(PASSWORD_PER_USER, name)
        await self._limits.spend(FAILURES_IN_A_ROW, f"password:{name}")
        return False
