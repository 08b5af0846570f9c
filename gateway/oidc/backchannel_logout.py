"""Tells apps that a session has ended (OpenID Connect Back-Channel Logout 1.0), beside the requests.

Whom to tell is in the database, in the same transaction that ends the session: a worker that dies loses nothing, and
of all workers and replicas one tells each app.
"""

import asyncio
import logging

from aiohttp import ClientError, ClientSession, ClientTimeout, DummyCookieJar

from gateway.clock import Clock
from gateway.errors import StoreUnavailable
from gateway.observability.audit import Audit
from gateway.oidc.clients import Apps, Client
from gateway.oidc.subjects import NamesForApps
from gateway.oidc.tokens import TokenSigner
from gateway.stores.protocols.core import Change
from gateway.stores.protocols.oidc import Login, Logins

log = logging.getLogger("gateway.oidc")
TIMEOUT = 5.0
"""Seconds that an app has to answer."""
PAUSES = (5.0, 30.0, 300.0, 1800.0)
"""Seconds before each further try; then it is given up, since the app's own session has an end as well."""
_LEASE = 60.0
"""Seconds for which what one worker has taken is left alone by the others; if it dies, one of them takes it up."""
_LOOK_EVERY = 30.0
"""Seconds: what another process has written is not heard of, so the table is looked at now and then."""


class Logouts:
    """Tells apps of ended sessions, in the background."""

    def __init__(
        self,
        apps: Apps,
        tokens: TokenSigner,
        names: NamesForApps,
        logins: Logins,
        audit: Audit,
        clock: Clock,
    ) -> None:
        self._apps, self._tokens, self._names, self._logins = apps, tokens, names, logins
        self._audit, self._clock = audit, clock
        self._wake = asyncio.Event()

    def hear(self, change: Change) -> None:
        """Wake up because a session or user changed: somebody may have to be told."""
        self._wake.set()

    async def run(self) -> None:
        """Tell apps until cancelled."""
        # No cookies are kept and no proxy of the environment is used: each call is alone, and goes where the settings
        # say.
        async with ClientSession(
            timeout=ClientTimeout(total=TIMEOUT), cookie_jar=DummyCookieJar(), trust_env=False
        ) as web:
            while True:
                try:
                    await self.tell_all(web)
                except StoreUnavailable as error:
                    log.warning("apps are told later: %s", error.detail)
                await self._pause()

    async def tell_all(self, web: ClientSession) -> None:
        """Tell all apps that are due."""
        due = await self._logins.due(self._clock(), _LEASE)
        await asyncio.gather(*(self._tell(web, login) for login in due))

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(_LOOK_EVERY):
                await self._wake.wait()
        except TimeoutError:
            return
        finally:
            self._wake.clear()

    async def _tell(self, web: ClientSession, login: Login) -> None:
        app = self._apps.find(login.client_id)
        uri = app.settings.backchannel_logout_uri if app else None
        if app is None or uri is None:
            await self._logins.done(login)
            return
        problem = await self._post(web, uri, await self._token(app, login))
        if not problem:
            await self._logins.done(login)
            self._audit.record("oidc_logout_sent", login.username, client=app.id, tries=login.tries)
        elif login.tries > len(PAUSES):
            await self._logins.done(login)
            self._audit.record(
                "oidc_logout_failed",
                login.username,
                cause=problem,
                given_up=True,
                client=app.id,
                tries=login.tries,
            )
        else:
            await self._logins.later(login, self._clock() + PAUSES[login.tries - 1])
            self._audit.record(
                "oidc_logout_failed",
                login.username,
                cause=problem,
                given_up=False,
                client=app.id,
                tries=login.tries,
            )

    async def _token(self, app: Client, login: Login) -> str:
        sid = await self._names.of_session(app, login.username, login.session_started)
        return self._tokens.logout_token(app, login.subject or login.username, sid)

    async def _post(self, web: ClientSession, uri: str, token: str) -> str:
        """What went wrong, "" if nothing. Redirects are not followed: the token is for this address only."""
        try:
            async with web.post(uri, data={"logout_token": token}, allow_redirects=False) as response:
                return "" if response.status in (200, 204) else f"status {response.status}"
        except (ClientError, TimeoutError, OSError) as error:
            return type(error).__name__
