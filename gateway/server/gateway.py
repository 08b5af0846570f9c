"""One worker's gateway: what answers, what runs beside it, and its life until it is drained.

The way of a request begins in `front`; `compose` makes the parts.
"""

import asyncio
import logging
import socket
import ssl
import sys
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import TextIO
from urllib.parse import urlsplit

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.admin.build import admin_pages
from gateway.admin.services import AdminParts
from gateway.authn.risk.geo import country_finder
from gateway.clock import Clock, SharedClock
from gateway.config.schema import Config
from gateway.directory.yaml_file import FileChange
from gateway.errors import StoreUnavailable
from gateway.forwardauth import ForwardAuth
from gateway.forwardauth.engine_pass import Passes
from gateway.observability.access_log import AccessLog
from gateway.oidc.build import OpenIDProvider, build_provider
from gateway.portal.dispatch import Portal
from gateway.portal.rendering.reader_language import Reader
from gateway.portal.request import Views
from gateway.portal.routes import build_sites
from gateway.portal.signin.identity_provider_views import federation_pages
from gateway.server.background import Sweep, compare_clocks, report_upstreams, sweep
from gateway.server.composition import Composed, compose
from gateway.server.connection import ConnectionServer
from gateway.server.drain import CANCEL_GRACE, LINGER, drain
from gateway.server.fastpath import FastPath
from gateway.server.handler import Handler
from gateway.server.process.sockets import BACKLOG
from gateway.server.proxied import GuardedProxy
from gateway.stores.sql.engine import open_engine

log = logging.getLogger("gateway.server")

TASK_GRACE = 2.0
"""Seconds that what runs beside the requests may take to end."""


class Gateway:
    """One worker's gateway. `start_gateway` makes it."""

    def __init__(self, composed: Composed) -> None:
        self._composed = composed
        self.parts, self.stores = composed.parts, composed.stores
        self.proxy, self.health = composed.proxy, composed.health
        self.sessions, self.devices = self.parts.sessions, self.parts.devices
        access = AccessLog(self.parts.config.log)
        parts, stores = self.parts, composed.stores
        forward = ForwardAuth(parts.config, parts.routes, parts.sessions, parts.assertions, parts.pages)
        self._provider = build_provider(parts, stores.grants, stores.consents, stores.logins)
        portal = _portal(composed, self._provider)
        self._fast = _fast_path(composed, access, forward, portal)
        self._front = _front(composed, access, forward, portal)
        self._runner: web.ServerRunner | None = None
        self._ssl_context: ssl.SSLContext | None = None
        self._sites: dict[socket.socket, web.SockSite] = {}
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self, sockets: list[socket.socket], ssl_context: ssl.SSLContext | None) -> None:
        await self.stores.start()
        await self.proxy.start()
        for work in self._beside():
            self._tasks.append(asyncio.get_running_loop().create_task(work))
        server = self.parts.config.server
        self._runner = web.ServerRunner(
            # Cancelled when their client leaves: nobody should wait for an upstream in vain.
            ConnectionServer(
                self._front.handle,
                server.limits,
                fast=self._fast if server.fast_path else None,
                page=partial(self.parts.pages.error, reader=Reader(self.parts.config.branding.language)),
                chosen=self._composed.tracing.chosen if self._composed.tracing else None,
                handler_cancellation=True,
            ),
            handle_signals=False,
            shutdown_timeout=CANCEL_GRACE,
        )
        await self._runner.setup()
        self._ssl_context = ssl_context
        for sock in sockets:
            await self.read(sock)

    async def read(self, sock: socket.socket) -> None:
        """Accept what waits on a listening socket, until `leave` or the end."""
        if self._runner is not None:
            site = web.SockSite(self._runner, sock, ssl_context=self._ssl_context, backlog=BACKLOG)
            await site.start()
            self._sites[sock] = site

    async def leave(self, sock: socket.socket) -> None:
        """Accept no more on this socket and close it; what was accepted goes on."""
        site = self._sites.pop(sock, None)
        if site is not None and self._runner is not None and site in self._runner.sites:
            await site.stop()

    def _beside(self) -> list[Coroutine[object, object, None]]:
        """What runs beside the requests, until the worker ends."""
        works = [
            self.sessions.follow_changes(),
            self.parts.audit.write(),
            sweep(Sweep(self.stores.purges, self.stores.time), self.parts.sms.rounds),
            compare_clocks(self.stores.time),
            report_upstreams(self.proxy),
            self._composed.tunnel_watch.run(),
            *self._provider.beside(),
        ]
        if self.parts.config.server.fast_path:
            works.append(self._fast.watch())
        if self._composed.people.watch is not None:
            works.append(self._composed.people.watch(self._on_file_change))
        return works

    async def _on_file_change(self, change: FileChange) -> None:
        """A user file changed: what is cached of this user goes, and where it bars them their sessions too."""
        self.sessions.forget_user(change.username)
        if change.barred:
            await self.stores.sessions.delete_for_user(change.username)

    async def drain(
        self,
        timeout: float,  # noqa: ASYNC109 - it limits others, not itself
        *,
        linger: float = LINGER,
    ) -> None:
        """Stop accepting, let running requests finish for up to `timeout` seconds, then release everything.

        Idle connections stay open for `linger` seconds (see `drain`).
        """
        self.health.draining = True
        self.proxy.tunnels.close_all()
        if self._runner is not None:
            await drain(self._runner, timeout, linger=linger)
        self._fast.close()
        await self.proxy.close()
        await _end(self._tasks)
        await self.parts.notices.finish()
        try:
            await self.parts.audit.flush()
        except StoreUnavailable as error:
            log.error("audit rows are lost: %s", error.detail)
        for close in self.parts.closing:
            await close()
        await self.parts.sms.close()
        await self.parts.email.close()
        self._composed.passwords.close()
        await self._composed.people.close()
        await self.stores.close()
        if self._composed.tracing is not None:
            await asyncio.to_thread(self._composed.tracing.close)


async def _end(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Cancel what runs beside the requests. A worker must end even if one of these does not."""
    for task in tasks:
        task.cancel()
    _, running = await asyncio.wait(tasks, timeout=TASK_GRACE)
    for task in running:
        log.error("left behind at the end: %s", task.get_coro())


def _portal(composed: Composed, provider: OpenIDProvider) -> Portal:
    parts, server = composed.parts, composed.parts.config.server
    sites = build_sites(parts, {**federation_pages(parts), **provider.views, **_admin(composed)})
    return Portal(
        server.prefix,
        sites,
        parts.pages,
        parts.sessions,
        parts.assertions,
        composed.health,
        server.metrics_networks,
        home=parts.home,
        public_url=parts.public_url,
        has_route=parts.routes.serves_host,
    )


def _front(composed: Composed, access: AccessLog, forward: ForwardAuth, portal: Portal) -> Handler:
    parts = composed.parts
    server = parts.config.server
    gate = GuardedProxy(
        parts.routes,
        parts.sessions,
        parts.assertions,
        composed.proxy,
        parts.pages,
        composed.credentials,
        parts.kept,
        prefix=server.prefix,
        offered=parts.config.access_requests,
    )
    return Handler(
        gate,
        portal,
        parts.pages,
        access,
        forward,
        Passes(parts.config, parts.routes, parts.sessions, parts.assertions),
        prefix=server.prefix,
        trusted=server.trusted_proxies,
        host=urlsplit(server.public_url).netloc,
        tracing=composed.tracing,
        country_of=country_finder(parts.config, parts.geo),
    )


def _admin(composed: Composed) -> Views:
    parts = composed.parts
    return admin_pages(
        AdminParts(
            parts,
            composed.credentials,
            composed.stores.audit_search,
            composed.proxy.health,
            composed.people.origin,
        )
    )


def _fast_path(composed: Composed, access: AccessLog, forward: ForwardAuth, portal: Portal) -> FastPath:
    parts, server = composed.parts, composed.parts.config.server
    return FastPath(
        parts.routes,
        parts.sessions,
        parts.assertions,
        composed.proxy,
        parts.pages,
        access,
        parts.clock,
        below=(server.prefix, *forward.below),
        exact=portal.outside | forward.exact,
        trusted=server.trusted_proxies,
        header_count=server.limits.header_count,
        traced=composed.tracing is not None,
        country_of=country_finder(parts.config, parts.geo),
    )


async def start_gateway(
    config: Config,
    sockets: list[socket.socket],
    *,
    ssl_context: ssl.SSLContext | None = None,
    worker: int = 0,
    clock: Clock | None = None,
    stream: TextIO | None = None,
    open_store: Callable[[str], AsyncEngine] = open_engine,
) -> Gateway:
    """Build a gateway and let it accept on `sockets` (bound already).

    `clock` is for tests; without it the gateway keeps the time that the database has.
    `stream` is where the console sender shows codes (default: standard output).

    Raises ConfigError and StoreUnavailable.
    """
    composed = compose(
        config, open_store(config.storage.url), clock=clock or SharedClock(), stream=stream or sys.stdout
    )
    gateway = Gateway(composed)
    await gateway.start(sockets, ssl_context)
    log.debug("worker %d accepts connections", worker)
    return gateway
