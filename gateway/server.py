"""The composition root: from a Config to a listening gateway, and its life until it is drained.

The only file that names concrete stores, directories and senders. The way of a request begins in `front`.
"""

import asyncio
import logging
import socket
import ssl
import sys
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import TextIO

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.accesslog import AccessLog
from gateway.assertion import Assertions
from gateway.audit import Audit
from gateway.clock import Clock, system_clock
from gateway.config.schema import Config
from gateway.connection import ConnectionServer
from gateway.credentials import Credentials
from gateway.devices import RememberedDevices
from gateway.directory.build import build_directory
from gateway.directory.file import FileChange
from gateway.drain import CANCEL_GRACE, drain
from gateway.errors import StoreUnavailable
from gateway.factors.build import Parts, build_factors
from gateway.fastpath import FastPath
from gateway.forwardauth import ForwardAuth
from gateway.front import Front
from gateway.gate import Gate
from gateway.keyring import KeyRing
from gateway.limits import Limits
from gateway.notices import Notices
from gateway.passes import Passes, pass_cookie
from gateway.passwords import Passwords
from gateway.portal.account_build import account_pages
from gateway.portal.account_news import AccountNews
from gateway.portal.enrol_views import EnrolViews
from gateway.portal.enrolment import Enrolment
from gateway.portal.health import Health
from gateway.portal.passkey_views import PasskeyViews
from gateway.portal.portal import Portal
from gateway.portal.render import Pages
from gateway.portal.returns import is_own_page
from gateway.portal.selfservice import self_service
from gateway.portal.signin import SignIn
from gateway.portal.views import SignInViews
from gateway.proxy import Proxy
from gateway.risk.watch import build_watch
from gateway.routing import Routes
from gateway.senders.build import build_email, build_sms
from gateway.session import SessionLayer
from gateway.stores.audit_log import SqlAuditLog
from gateway.stores.changes import SqlChanges
from gateway.stores.credentials import SqlCredentials
from gateway.stores.devices import SqlDevices
from gateway.stores.engine import open_engine
from gateway.stores.migrate import migrate
from gateway.stores.places import SqlPlaces
from gateway.stores.sessions import SqlSessions
from gateway.stores.state import open_state
from gateway.stores.tokens import SqlTokens
from gateway.sweep import report_upstreams, sweep

log = logging.getLogger("gateway.server")


class Gateway:
    """One worker's gateway. `start_gateway` makes it."""

    def __init__(self, config: Config, engine: AsyncEngine, *, clock: Clock, stream: TextIO) -> None:
        secure = config.server.public_url.startswith("https:")
        ring = KeyRing.load_or_create(Path(config.session.keys_file), clock)
        routes = Routes(config.routes)
        self._config, self._engine, self._clock = config, engine, clock
        self._store_sessions = SqlSessions(engine, clock)
        self._state = open_state(config.storage, engine, clock)
        self._ledger = self._state.ledger
        self._changes = SqlChanges(engine)
        self._passwords = Passwords(config.passwords)
        self._people = build_directory(config, engine, self._passwords, clock)
        directory = self._people.directory
        self._audit_log = SqlAuditLog(engine)
        self._audit = Audit(self._audit_log, clock)
        self.sessions = SessionLayer(
            config.session,
            secure=secure,
            fernet=lambda: ring.fernet,
            sessions=self._store_sessions,
            directory=directory,
            changes=self._changes,
            clock=clock,
        )
        self._pages = Pages(
            config.branding,
            prefix=config.server.prefix,
            templates=config.server.templates,
            hsts=secure,
            # Browsers hold redirects after a form post to this too, and an app may send its users anywhere.
            form_action=("https:",) if secure else ("http:", "https:"),
        )
        limits = Limits(self._ledger)
        self._sender = build_sms(config.sms, stream)
        self._email = build_email(config.email, stream)
        factors = build_factors(
            Parts(
                config, ring, self._ledger, SqlCredentials(engine, ring.seal, ring.open), limits,
                self._sender, self._email, self._people.writable, clock,
            )
        )  # fmt: skip
        self._notices = Notices(self._email, self._audit, config.branding.name)
        news = AccountNews(self._audit, self._notices)
        self.devices = RememberedDevices(
            config.session, secure=secure, fernet=lambda: ring.fernet, store=SqlDevices(engine),
            audit=self._audit, clock=clock,
        )  # fmt: skip
        self._places = SqlPlaces(engine)
        risk = build_watch(config, self._places, self._audit, self._notices, clock)
        prefix = config.server.prefix
        signin = SignIn(
            directory, self.sessions, factors.second, limits, self._audit, routes, self.devices, risk,
            lambda destination: is_own_page(destination, prefix), factors.preferences,
        )  # fmt: skip
        passkey = PasskeyViews(
            factors.passkeys, signin, self.sessions, self._pages, routes, limits,
            prefix=prefix, public_url=config.server.public_url,
        )  # fmt: skip
        enrolment = Enrolment(config.enrolment, factors, self.sessions, self._ledger, self._audit, news)
        enrol = EnrolViews(
            enrolment, signin, self.sessions, self._pages, routes,
            prefix=prefix, public_url=config.server.public_url,
        )  # fmt: skip
        account = account_pages(
            config, directory, self._people.writable, factors, enrolment, self.sessions, self._store_sessions,
            self.devices, limits, self._audit, self._audit_log, news, self._pages,
        )  # fmt: skip
        alone = self_service(
            config, self._people.writable, signin, self.sessions, self._store_sessions, self._ledger, limits,
            self._audit, self._notices, self._pages, clock,
        )  # fmt: skip
        assertions = Assertions(config.server.public_url, lambda: list(ring.signing_keys), clock)
        names = frozenset(prefix + config.session.cookie_name for prefix in ("", "__Host-", "__Secure-"))
        names |= {pass_cookie(config), self.devices.cookie_name}
        self.proxy = Proxy(
            config.routes, session_cookie_names=names, prefix=config.server.prefix, clock=clock
        )
        self.sessions.on_end.append(self.proxy.tunnels.close_session)
        self.health = Health({"store": self._changes.latest, **self._state.checks, **self._people.checks})
        credentials = Credentials(
            SqlTokens(engine), directory, limits, self._audit, lambda: ring.derive_all(b"tokens"), clock
        )
        self.sessions.on_change.append(lambda change: credentials.forget_user(change.subject))
        self._gate = Gate(
            routes,
            self.sessions,
            assertions,
            self.proxy,
            self._pages,
            credentials,
            prefix=config.server.prefix,
        )
        self._portal = Portal(
            config.server.prefix,
            SignInViews(
                signin, self.sessions, self._pages, routes, devices=self.devices, can_reset="/reset" in alone,
                prefix=config.server.prefix, public_url=config.server.public_url,
                passkeys=factors.passkeys is not None,
            ),
            self._pages, self.sessions, assertions, self.health, config.server.metrics_networks,
            {
                **alone,
                "/enrol": {"GET": enrol.page, "POST": enrol.submit},
                "/passkey": {"GET": passkey.page, "POST": passkey.submit},
                **account,
            },
        )  # fmt: skip
        access = AccessLog(config.log)
        self._fast = FastPath(
            routes, self.sessions, assertions, self.proxy, self._pages, access, clock,
            prefix=config.server.prefix, trusted=config.server.trusted_proxies,
            header_count=config.server.limits.header_count,
        )  # fmt: skip
        self._front = Front(
            self._gate,
            self._portal,
            self._pages,
            access,
            ForwardAuth(config, routes, self.sessions, assertions, self._pages),
            Passes(config, routes, self.sessions, assertions),
            prefix=config.server.prefix,
            trusted=config.server.trusted_proxies,
        )
        self._runner: web.ServerRunner | None = None
        self._tasks: list[asyncio.Task[None]] = []

    # -- life ------------------------------------------------------------------------------------------------------

    async def start(self, sockets: list[socket.socket], ssl_context: ssl.SSLContext | None) -> None:
        await migrate(self._engine)
        await self._state.start()
        await self.proxy.start()
        self._background(self.sessions.follow_changes())
        self._background(self._audit.write())
        if self._people.watch is not None:
            self._background(self._people.watch(self._on_file_change))
        self._background(sweep(self._purges()))
        self._background(report_upstreams(self.proxy))
        self._background(self._fast.watch())
        limits = self._config.server.limits
        self._runner = web.ServerRunner(
            # Cancelled when their client leaves: nobody should wait for an upstream in vain.
            ConnectionServer(
                self._front.handle,
                limits,
                fast=self._fast if self._config.server.fast_path else None,
                handler_cancellation=True,
            ),
            handle_signals=False,
            shutdown_timeout=CANCEL_GRACE,
        )
        await self._runner.setup()
        for sock in sockets:
            await web.SockSite(self._runner, sock, ssl_context=ssl_context, backlog=4096).start()

    async def _on_file_change(self, change: FileChange) -> None:
        """A user file changed: what is cached of this user goes, and where it bars them their sessions too."""
        self.sessions.forget_user(change.username)
        if change.barred:
            await self._store_sessions.delete_for_user(change.username)

    def _background(self, work: Coroutine[object, object, None]) -> None:
        self._tasks.append(asyncio.get_running_loop().create_task(work))

    def _purges(self) -> list[Callable[[], Awaitable[object]]]:
        clock, idle, kept = self._clock, self._config.session.idle_timeout, self._config.log.audit_kept
        return [
            lambda: self._store_sessions.purge(clock(), idle),
            lambda: self._ledger.purge(clock()),
            lambda: self._changes.purge(clock()),
            lambda: self._audit_log.purge(clock() - kept),
            lambda: self.devices.store.purge(clock()),
            lambda: self._places.purge(clock() - self._config.risk.remembered),
        ]

    async def drain(self, timeout: float) -> None:  # noqa: ASYNC109 - it limits others, not itself
        """Stop accepting, let running requests finish for up to `timeout` seconds, then release everything."""
        self.health.draining = True
        self.proxy.tunnels.close_all()
        if self._runner is not None:
            await drain(self._runner, timeout)
        self._fast.close()
        await self.proxy.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._notices.finish()
        try:
            await self._audit.flush()
        except StoreUnavailable as error:
            log.error("audit rows are lost: %s", error.detail)
        await self._sender.close()
        await self._email.close()
        self._passwords.close()
        await self._people.close()
        await self._state.close()
        await self._engine.dispose()


async def start_gateway(
    config: Config,
    sockets: list[socket.socket],
    *,
    ssl_context: ssl.SSLContext | None = None,
    worker: int = 0,
    clock: Clock = system_clock,
    stream: TextIO | None = None,
    open_store: Callable[[str], AsyncEngine] = open_engine,
) -> Gateway:
    """Build a gateway and let it accept on `sockets` (bound already).

    `stream` is where the console sender shows codes (default: standard output).

    Raises ConfigError and StoreUnavailable.
    """
    gateway = Gateway(config, open_store(config.storage.url), clock=clock, stream=stream or sys.stdout)
    await gateway.start(sockets, ssl_context)
    log.debug("worker %d accepts connections", worker)
    return gateway
