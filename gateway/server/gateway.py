"""One worker's gateway: what answers, what runs beside it, and its life until it is drained.

The way of a request begins in `handler.py`; `composition.py` makes the services.
"""

import asyncio
import logging
import socket
import ssl
import sys
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import TextIO

from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.admin.build import admin_pages
from gateway.admin.services import AdminServices
from gateway.clock import Clock, SharedClock
from gateway.config.schema import Config
from gateway.directory.yaml_file import FileChange
from gateway.errors import StoreUnavailable
from gateway.forwardauth import ForwardAuth
from gateway.forwardauth.whoami import whoami_pages
from gateway.observability.access_log import AccessLog
from gateway.oidc.build import OpenIDProvider, build_provider
from gateway.portal.dispatch import Portal
from gateway.portal.request import Reader, Views
from gateway.portal.routes import build_sites
from gateway.portal.signin.identity_provider_views import federation_pages
from gateway.server.background import Sweep, compare_clocks, report_upstreams, sweep
from gateway.server.behind_engine import is_behind, limits_of, linger_of, served_by_worker
from gateway.server.build_fast_path import build_fast_path
from gateway.server.composition import Composed, compose
from gateway.server.connection_server import ConnectionServer
from gateway.server.doors import front, plain_server
from gateway.server.drain import drain
from gateway.server.engine_side import engine_side
from gateway.server.losses import Losses
from gateway.server.plain_listener import is_plain
from gateway.session.device_endpoints import site_host
from gateway.stores.sql.engine import open_engine

log = logging.getLogger("gateway.server")

TASK_GRACE = 2.0
"""Seconds that what runs beside the requests may take to end."""


class Gateway:
    """One worker's gateway. `start_gateway` makes it."""

    def __init__(self, composed: Composed) -> None:
        self._composed = composed
        self.services, self.stores = composed.services, composed.stores
        self.proxy, self.health = composed.proxy, composed.health
        self.sessions, self.devices = self.services.sessions, self.services.authn.devices
        self._access = access = AccessLog(self.services.config.log)
        services, stores = self.services, composed.stores
        forward = ForwardAuth(
            config=services.config,
            routes=services.routes,
            sessions=services.sessions,
            assertions=composed.assertions,
            pages=services.pages,
            credentials=composed.credentials,
        )
        self._provider = build_provider(
            services, stores.grants, stores.consents, stores.logins, stores.subjects
        )
        if self._provider.reader is not None:
            composed.credentials.access_tokens = self._provider.reader
        portal = _portal(composed, self._provider)
        self._fast = build_fast_path(composed, access, forward, portal)
        composed.tunnel_watch.answers.append(self._fast.admitted)
        self._front = front(composed, access, forward, portal, self._provider.resources)
        self._server: ConnectionServer | None = None
        self._plain: ConnectionServer | None = None
        self._ssl_context: ssl.SSLContext | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self, sockets: list[socket.socket], ssl_context: ssl.SSLContext | None) -> None:
        """Start the stores, the work beside requests and the server, and read from these sockets. Raises
        StoreUnavailable and ConfigError.
        """
        await self.stores.start()
        await self.proxy.start()
        if (certificates := self._composed.certificates) is not None:
            await certificates.served.begin(ssl_context)
        for work in self._beside():
            self._tasks.append(asyncio.get_running_loop().create_task(work))
        server = self.services.config.server
        carried = None
        if is_behind(server):
            carried, carried_log = engine_side(sockets, self.health, self._fast, self._access, self.services)
            self._tasks.append(asyncio.get_running_loop().create_task(carried_log.run()))
        self._server = ConnectionServer(
            self._front.handle,
            limits_of(server),
            fast=self._fast if server.fast_path else None,
            page=partial(self.services.pages.error, reader=Reader(self.services.config.branding.language)),
            chosen=self._composed.tracing.chosen if self._composed.tracing else None,
            trusted=server.trusted_proxies,
            announced=server.proxy_protocol,
            carried=carried,
        )
        self._plain = plain_server(self._composed, self._access) if server.plain else None
        self._ssl_context = ssl_context
        for sock in sockets:
            await self.read(sock)

    async def read(self, sock: socket.socket) -> None:
        """Accept what waits on a listening socket, until `leave` or the end."""
        if self._plain is not None and is_plain(self.services.config.server, sock):
            await self._plain.listen(sock)
        elif self._server is not None:
            await self._server.listen(sock, self._ssl_context)

    async def leave(self, sock: socket.socket) -> None:
        """Accept no more on this socket and close it; what was accepted goes on."""
        for server in (self._server, self._plain):
            if server is not None:
                server.leave(sock)

    def _beside(self) -> list[Coroutine[object, object, None]]:
        """What runs beside the requests, until the worker ends."""
        works = [
            self.sessions.follow_changes(),
            self.services.audit.write(),
            sweep(Sweep(self.stores.purges, self.stores.time), self.services.messaging.sms.rounds),
            compare_clocks(self.stores.time),
            Losses(self.stores.engine, self.stores.state.forgot, keys=self.stores.key_problem).watch(),
            report_upstreams(self.proxy),
            self._composed.tunnel_watch.run(),
            *self._provider.beside(),
        ]
        if (certificates := self._composed.certificates) is not None:
            works += [certificates.served.follow(), certificates.renew()]
        if self.services.config.server.fast_path:
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
        linger: float | None = None,
    ) -> None:
        """Stop accepting, let running requests finish for up to `timeout` seconds, then release everything.

        Connections that were used a moment ago stay open for `linger` seconds (see `drain`).
        """
        self.health.draining = True
        self.proxy.tunnels.close_all()
        linger = linger_of(self.services.config.server) if linger is None else linger
        servers = [server for server in (self._server, self._plain) if server is not None]
        await asyncio.gather(*(drain(server, timeout, linger=linger) for server in servers))
        self._fast.close()
        await self.proxy.close()
        await self._composed.credentials.close()
        await _end(self._tasks)
        await self.services.messaging.notices.finish()
        try:
            await self.services.audit.flush()
        except StoreUnavailable as error:
            log.error("audit rows are lost: %s", error.detail)
        for close in self.services.closing:
            await close()
        await self.services.messaging.sms.close()
        await self.services.messaging.email.close()
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
    services, server = composed.services, composed.services.config.server
    more = {**federation_pages(services), **whoami_pages(services, composed.credentials)}
    admin = _admin(composed)
    more |= {**provider.views, **admin_pages(admin), **_scim(admin, composed)}
    sites = build_sites(services, more)
    return Portal(
        prefix=server.prefix,
        sites=sites,
        pages=services.pages,
        sessions=services.sessions,
        jwks=composed.assertions.jwks,
        health=composed.health,
        metrics_networks=server.metrics_networks,
        home=services.home,
        public_url=services.public_url,
        base=server.base,
        site=site_host(services.config),
        has_route=services.routes.serves_host,
    )


def _admin(composed: Composed) -> AdminServices:
    return AdminServices(
        services=composed.services,
        credentials=composed.credentials,
        search=composed.stores.audit_search,
        found=composed.people.search,
        seats=composed.stores.session_search,
        upstreams=composed.proxy.health,
        origin=composed.people.origin,
    )


def _scim(admin: AdminServices, composed: Composed) -> Views:
    if not admin.config.scim.enabled:
        return {}
    from gateway.scim.build import scim_views  # an optional extra

    return scim_views(admin, composed.stores.provisioned)


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
    config = served_by_worker(config, sockets)
    composed = compose(
        config, open_store(config.storage.url), clock=clock or SharedClock(), stream=stream or sys.stdout
    )
    gateway = Gateway(composed)
    await gateway.start(sockets, ssl_context)
    log.debug("worker %d accepts connections", worker)
    return gateway
