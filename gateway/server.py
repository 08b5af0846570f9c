"""The composition root: from a Config to a listening gateway, and the way of each request through it.

The only file that names concrete stores, directories and senders. Read `Gateway.handle` first.
"""

import asyncio
import logging
import secrets
import socket
import ssl
import sys
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TextIO

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway import metrics
from gateway.accesslog import AccessLog
from gateway.assertion import Assertions
from gateway.audit import Audit
from gateway.clock import Clock, system_clock
from gateway.config.schema import Config
from gateway.connection import ConnectionServer
from gateway.directory.database import DatabaseDirectory
from gateway.drain import CANCEL_GRACE, drain
from gateway.errors import GatewayError, StoreUnavailable, TooManyAttempts
from gateway.factors.build import Parts, build_factors
from gateway.gate import Gate, Trace, wants_html
from gateway.keyring import KeyRing
from gateway.limits import Limits
from gateway.model import Target
from gateway.passwords import Passwords
from gateway.portal.health import Health
from gateway.portal.portal import MethodNotAllowed, Portal
from gateway.portal.render import Pages
from gateway.portal.signin import SignIn
from gateway.portal.views import SignInViews
from gateway.proxy import Proxy
from gateway.routing import Routes, path_matches
from gateway.senders.build import build_email, build_sms
from gateway.session import SessionLayer
from gateway.stores.audit_log import SqlAuditLog
from gateway.stores.changes import SqlChanges
from gateway.stores.credentials import SqlCredentials
from gateway.stores.engine import open_engine
from gateway.stores.ledger import SqlLedger
from gateway.stores.migrate import migrate
from gateway.stores.sessions import SqlSessions
from gateway.target import is_trusted, peer_address, read_target

log = logging.getLogger("gateway.server")

PURGE_INTERVAL = 300.0
"""Seconds between sweeps of what has expired."""


class Gateway:
    """One worker's gateway. `start_gateway` makes it."""

    def __init__(self, config: Config, engine: AsyncEngine, *, clock: Clock, stream: TextIO) -> None:
        secure = config.server.public_url.startswith("https:")
        ring = KeyRing.load_or_create(Path(config.session.keys_file), clock)
        routes = Routes(config.routes)
        self._config, self._engine, self._clock = config, engine, clock
        self._store_sessions = SqlSessions(engine, clock)
        self._ledger = SqlLedger(engine, clock)
        self._changes = SqlChanges(engine)
        self._passwords = Passwords(config.passwords)
        directory = DatabaseDirectory(engine, self._passwords, clock)
        self._audit = Audit(SqlAuditLog(engine), clock)
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
                self._sender, self._email, directory, clock,
            )
        )  # fmt: skip
        signin = SignIn(directory, self.sessions, factors.second, limits, self._audit, routes)
        assertions = Assertions(config.server.public_url, lambda: list(ring.signing_keys), clock)
        names = frozenset(prefix + config.session.cookie_name for prefix in ("", "__Host-", "__Secure-"))
        self.proxy = Proxy(
            config.routes, session_cookie_names=names, prefix=config.server.prefix, clock=clock
        )
        self.sessions.on_end.append(self.proxy.tunnels.close_session)
        self.health = Health({"store": self._changes.latest})
        self._gate = Gate(
            routes, self.sessions, assertions, self.proxy, self._pages, prefix=config.server.prefix
        )
        self._portal = Portal(
            config.server.prefix,
            SignInViews(
                signin, self.sessions, self._pages, routes,
                prefix=config.server.prefix, public_url=config.server.public_url,
            ),
            self._pages, self.sessions, assertions, self.health, config.server.metrics_networks,
        )  # fmt: skip
        self._access = AccessLog(config.log)
        self._runner: web.ServerRunner | None = None
        self._tasks: list[asyncio.Task[None]] = []

    # -- the way of a request --------------------------------------------------------------------------------------

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Every request comes through here: read what is asked for, then the portal or the gate answers."""
        started = time.perf_counter()
        trace = Trace(request_id=secrets.token_hex(8))
        target: Target | None = None
        metrics.open_requests.inc()
        try:
            peer = peer_address(request.transport.get_extra_info("peername")) if request.transport else None
            trusted = self._config.server.trusted_proxies
            target = read_target(
                request.method,
                request.raw_path,
                request.headers,
                secure=request.secure,
                peer=peer,
                trusted=trusted,
            )
            if path_matches(self._config.server.prefix, target.path):
                trace.route = "portal"
                response = await self._portal.handle(request, target, trace.request_id)
            else:
                response = await self._gate.handle(
                    request, target, trace, trusted_peer=is_trusted(peer, trusted)
                )
        except GatewayError as error:
            response = self._error_page(request, error, trace)
        except (asyncio.CancelledError, ConnectionError):
            self._access.write(request, target, trace, 499, time.perf_counter() - started)
            raise
        except Exception:
            log.exception("request %s failed", trace.request_id)
            response = self._error_page(request, GatewayError(), trace)
        finally:
            metrics.open_requests.dec()
        if not response.prepared:
            response.headers["Server"] = "auth-gateway"
        self._access.write(request, target, trace, response.status, time.perf_counter() - started)
        return response

    def _error_page(self, request: web.BaseRequest, error: GatewayError, trace: Trace) -> web.StreamResponse:
        """What went wrong, kindly to the user and with its cause to the operator."""
        trace.reason = error.detail
        if error.status >= 500:
            log.warning("request %s: %s", trace.request_id, error.detail)
        headers = {"Allow": error.allowed} if isinstance(error, MethodNotAllowed) else {}
        return self._pages.error(
            error.status,
            message=error.public,
            request_id=trace.request_id,
            retry_after=error.retry_after if isinstance(error, TooManyAttempts) else None,
            accepts_html=wants_html(request.method, request.headers),
            headers=headers,
        )

    # -- life ------------------------------------------------------------------------------------------------------

    async def start(self, sockets: list[socket.socket], ssl_context: ssl.SSLContext | None) -> None:
        await migrate(self._engine)
        await self.proxy.start()
        self._background(self.sessions.follow_changes())
        self._background(self._audit.write())
        self._background(self._purge())
        limits = self._config.server.limits
        self._runner = web.ServerRunner(
            ConnectionServer(self.handle, limits), handle_signals=False, shutdown_timeout=CANCEL_GRACE
        )
        await self._runner.setup()
        for sock in sockets:
            await web.SockSite(self._runner, sock, ssl_context=ssl_context, backlog=4096).start()

    def _background(self, work: Coroutine[object, object, None]) -> None:
        self._tasks.append(asyncio.get_running_loop().create_task(work))

    async def _purge(self) -> None:
        """Sweep what has expired, now and then. Every worker may do it: sweeping twice harms nothing."""
        while True:
            await asyncio.sleep(PURGE_INTERVAL * (0.5 + secrets.randbelow(1000) / 1000))
            try:
                now = self._clock()
                await self._store_sessions.purge(now, self._config.session.idle_timeout)
                await self._ledger.purge(now)
                await self._changes.purge(now)
            except StoreUnavailable as error:
                log.warning("sweep postponed: %s", error.detail)

    async def drain(self, timeout: float) -> None:  # noqa: ASYNC109 - it limits others, not itself
        """Stop accepting, let running requests finish for up to `timeout` seconds, then release everything."""
        self.health.draining = True
        if self._runner is not None:
            await drain(self._runner, timeout)
        await self.proxy.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        try:
            await self._audit.flush()
        except StoreUnavailable as error:
            log.error("audit rows are lost: %s", error.detail)
        await self._sender.close()
        await self._email.close()
        self._passwords.close()
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
