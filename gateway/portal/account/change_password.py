"""Changing one's own password: the old one is asked for, and every other session ends (security rules 3 and 4)."""

from gateway.authn.login_origin import LoginOrigin
from gateway.authn.password_check import PasswordCheck
from gateway.directory.base import WritableDirectory
from gateway.i18n.text import N_
from gateway.model import Principal, SessionRecord
from gateway.portal.account.change_notices import AccountNews
from gateway.portal.account.sessions import AccountSessions
from gateway.session import Sessions


class PasswordChange:
    """Changes the password of whoever is signed in."""

    def __init__(
        self,
        directory: WritableDirectory,
        layer: Sessions,
        sessions: AccountSessions,
        passwords: PasswordCheck,
        news: AccountNews,
    ) -> None:
        self._directory, self._layer, self._sessions = directory, layer, sessions
        self._passwords, self._news = passwords, news

    async def change(
        self, client: LoginOrigin, principal: Principal, old: str, new: str
    ) -> SessionRecord | None:
        """The session to go on with, under a new id; None if `old` is wrong. Raises WeakPassword, TooManyAttempts."""
        name = principal.username
        await self._directory.check_password(new, principal.user)
        # Counted like a sign-in: a stolen session must not be able to try more passwords than a stranger.
        if await self._passwords.check(name, old, client.ip, door="account") is None:
            return None
        await self._directory.set_password(name, new)
        record = await self._layer.rise(
            principal, name, "password", ip=client.ip, user_agent=client.user_agent
        )
        await self._sessions.end_others(client, principal, record.sid)
        sentence = N_("The password was changed. All other sessions and remembered devices were signed out.")
        self._news.tell(principal.user, client, "password_changed", sentence)
        return record
