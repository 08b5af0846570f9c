"""Decides whether a request may take the fast path, keeps watch over those that do, and counts them.

The same functions decide as on the ordinary path. Anything that is not a clear yes is None: that path then acts.
"""

import asyncio
import logging
import time

from gateway.authn.api_credentials import ApiCredentials
from gateway.clock import Clock
from gateway.config.schema import Network
from gateway.errors import GatewayError
from gateway.forwardauth import ForwardAuth
from gateway.model import Decision, Principal, Verdict
from gateway.observability.access_log import AccessLog
from gateway.policy.decide import Routes, decide
from gateway.portal.rendering.render import Pages
from gateway.proxy.client_response import Admitted
from gateway.proxy.identity import Assertions
from gateway.proxy.proxy import Proxy, identity_of
from gateway.proxy.upstream_head import HEAD_LIMIT
from gateway.proxy.upstreams import PreparedRoute, Upstream
from gateway.request.chunked_body import ChunkedBody
from gateway.request.framing import Body, LengthBody
from gateway.request.target import CountryOf
from gateway.server.fastpath.client_address import ClientAddress
from gateway.server.fastpath.error_page import error_page
from gateway.server.fastpath.exchange import Exchange
from gateway.server.fastpath.header_plans import (
    HeaderPlan,
    Plans,
    Rendered,
    depends_on_headers_only,
    depends_on_moment,
    render,
    target_of,
)
from gateway.server.fastpath.known_callers import KnownCallers
from gateway.server.fastpath.known_yes import KnownYes
from gateway.server.fastpath.metrics_tally import Tally
from gateway.server.fastpath.questions import Questions
from gateway.server.fastpath.request_head import FastRequestHead, RequestLine, RequestLines, split_head
from gateway.server.fastpath.upstream_wires import WirePool
from gateway.server.fastpath.wanted import Allowed, ExchangeClient, Wanted, head_of
from gateway.session import Sessions

log = logging.getLogger("gateway.fastpath")
_HOSTS = 16
WATCH_INTERVAL = 0.25
"""Seconds between looks for exchanges that are late, and between additions to the shared metrics."""


class FastPath:
    """The fast path of one worker: it takes plain requests, and knows those that are under way."""

    def __init__(
        self,
        routes: Routes,
        sessions: Sessions,
        credentials: ApiCredentials,
        assertions: Assertions,
        proxy: Proxy,
        pages: Pages,
        access: AccessLog,
        forward: ForwardAuth,
        clock: Clock,
        *,
        below: tuple[str, ...],
        exact: frozenset[str],
        trusted: tuple[Network, ...],
        header_count: int,
        traced: bool,
        country_of: CountryOf,
        rfc7239: bool,
    ) -> None:
        """Take what the decision needs from the ordinary path.

        What begins with `below` or is `exact` may be ours rather than an app's, so it is not taken. Neither is a
        request with more than `header_count` headers, which the ordinary path refuses.
        """
        self._callers = KnownCallers(sessions, credentials)
        self._routes, self._assertions, self._proxy = routes, assertions, proxy
        self._pages, self._access, self._clock = pages, access, clock
        self._below, self._exact = below, exact
        self.ours = (*below, *sorted(exact))
        self.lines = RequestLines(self._is_ours)
        self._loop: asyncio.AbstractEventLoop | None = None
        """That of the first request: asking for it is a call of the system."""
        self._plans = Plans(
            cookie_names=(sessions.cookie_name, sessions.devices.cookie_name),
            trusted=trusted,
            header_count=header_count,
            country_of=country_of,
            traced=traced,
            rfc7239=rfc7239,
        )
        self._remembers = {id(route): depends_on_headers_only(route) for route in routes.all}
        self._momentary = {id(route): depends_on_moment(route) for route in routes.all}
        self._stocks: dict[int, WirePool] = {}
        self._active: set[Exchange] = set()
        self._tally = Tally()
        self._questions = Questions(
            forward=forward,
            routes=routes,
            callers=self._callers,
            plans=self._plans,
            access=access,
            tally=self._tally,
            clock=clock,
        )

    def take(self, client: ExchangeClient, address: ClientAddress, data: bytes) -> Exchange | KnownYes | None:
        """An exchange, not yet started, if `data` is the head of a request that is allowed and plain."""
        since = time.perf_counter()
        head = split_head(data, self.lines)
        if head is None:
            return None
        # Each `return None` below is a case for the ordinary path, never a refusal: this path must not be able to say
        # no, nor to say yes where the other one would say no.
        line = head.line
        if line.is_ours:
            return self._questions.take(client, address, head)
        if (allowed := self.judge(head, address)) is None:
            return None
        plan, upstream = allowed.plan, allowed.upstream
        name = (head.named and plan.name(head.named)) or plan.named or self._access.new_id()
        body: Body | None = None
        if head.chunked:
            body = ChunkedBody(HEAD_LIMIT)
        elif head.length:
            body = LengthBody(head.length)
        wanted = Wanted(
            line=line,
            allowed=allowed,
            out=head_of(head, allowed, name),
            body=body,
            chunked=head.chunked,
            stock=self._stocks.get(id(upstream)) or self._stocks.setdefault(id(upstream), WirePool()),
            name=name,
            since=since,
        )
        loop = self._loop = self._loop or asyncio.get_running_loop()
        exchange = Exchange(wanted=wanted, client=client, journal=self, loop=loop)
        self._active.add(exchange)
        return exchange

    def judge(self, head: FastRequestHead, address: ClientAddress) -> Allowed | None:
        """What is known of a plain request to an app that policy allows; None for the ordinary path."""
        plan, line = self._plans.find(head.block, address), head.line
        if plan is None or (head.named and plan.names_itself):
            return None
        site = self._site(line, plan.target.host)
        if site is None:
            return None
        if head.length is not None and site.route.max_body and head.length > site.route.max_body:
            return None
        if plan.may_be_release and line.method == "POST":
            return None
        # Only who is known to this worker already: anything else means a question to a store, or a sign-in page.
        caller = self._callers.find(site.route, plan.target, line.method, plan, plan.authorization)
        if caller is None:
            return None
        principal, now = caller.principal, self._clock()
        pool = site.pool
        upstream = pool.next(identity_of(principal, plan.target) if pool.sticky else "")
        rendered = self._render(plan, site, upstream, principal, now, consumed=caller.consumed)
        decision = rendered.decision or self._decision(plan, site, rendered, line)
        if decision.verdict is not Verdict.ALLOW or not upstream.available_at(now):
            return None
        return Allowed(plan=plan, site=site, upstream=upstream, rendered=rendered, decision=decision)

    def lasts(self, allowed: Allowed) -> bool:
        """Whether policy says the same of the same request a moment later."""
        return not self._momentary[id(allowed.site.route)]

    def _site(self, line: RequestLine, host: str) -> PreparedRoute | None:
        """The route of a request, None for a 404, a certificate to be checked, or a route without an app behind us."""
        try:
            return line.sites[host]
        except KeyError:
            route = self._routes.match(host, line.path)
            taken = route is not None and not route.client_cert and route.upstream is not None
            site = self._proxy.site_of(route) if route is not None and taken else None
            if len(line.sites) >= _HOSTS:
                line.sites.clear()
            line.sites[host] = site
            return site

    def _decision(
        self, plan: HeaderPlan, site: PreparedRoute, rendered: Rendered, line: RequestLine
    ) -> Decision:
        """What policy says, from memory if it was asked the same a moment ago."""
        slot = (line.method, line.path, line.query if site.route.query_names else "")
        if (known := rendered.decisions.get(slot)) is None:
            known = self._decide(plan, site, rendered.principal, line.method, line.path, line.query)
            if not self._momentary[id(site.route)]:
                rendered.remember(slot, known)
        return known

    def _is_ours(self, path: str) -> bool:
        """Whether a path is the gateway's own, or looks like it."""
        return path.startswith(self._below) or path in self._exact

    def _render(
        self,
        plan: HeaderPlan,
        site: PreparedRoute,
        upstream: Upstream,
        principal: Principal | None,
        now: float,
        *,
        consumed: bool,
    ) -> Rendered:
        slot = (id(site), upstream.address.url)
        # The principal is compared by identity. A session that is read again, as after any change, gives a new object,
        # and nothing that was rendered for the old one is used for it.
        known = plan.rendered.get(slot)
        if known is None or known.principal is not principal or now >= known.until:
            known = render(plan, site, upstream.address, principal, self._assertions, now, consumed=consumed)
            if self._remembers[id(site.route)]:
                known.decision = self._decide(plan, site, principal, "GET", "/", "")
            plan.rendered[slot] = known
        return known

    def _decide(
        self,
        plan: HeaderPlan,
        site: PreparedRoute,
        principal: Principal | None,
        method: str,
        path: str,
        query: str,
    ) -> Decision:
        return decide(site.route, target_of(plan, method, path, query), principal, self._clock())

    # -- Journal ---------------------------------------------------------------------------------------------------

    def ended(self, exchange: Exchange, status: int, reason: str = "") -> None:
        """Count and log what was answered. Status 0: the ordinary path has it, and will."""
        self._active.discard(exchange)
        if status == 0:
            return
        wanted, ended = exchange.wanted, time.perf_counter()
        stems, decision = wanted.allowed.rendered.stems, wanted.allowed.decision
        self._tally.count(stems.route, status, (exchange.began or ended) - wanted.since)
        if self._access.wants(status):
            self._access.like(
                stems.of(decision, reason),
                wanted.name,
                wanted.line.method,
                wanted.line.path,
                status,
                ended - wanted.since,
                exchange.sent,
                self._clock(),
            )

    def page(self, exchange: Exchange, error: GatewayError, *, closes: bool) -> bytes:
        """Return the whole answer, head and body, to a request that failed with `error`. `closes`: no other follows
        it.
        """
        if error.status >= 500:
            log.warning("request %s: %s", exchange.wanted.name, error.detail)
        return error_page(self._pages, exchange.wanted, error, closes=closes)

    def admitted(self) -> dict[str, list[Admitted]]:
        """Session id -> the answers to it that are under way."""
        held: dict[str, list[Admitted]] = {}
        for exchange in self._active:
            line, allowed = exchange.wanted.line, exchange.wanted.allowed
            principal = allowed.rendered.principal
            if principal is not None:
                target = target_of(allowed.plan, line.method, line.path, line.query)
                one = Admitted(held=exchange, route=allowed.site.route, target=target, principal=principal)
                held.setdefault(principal.session.sid, []).append(one)
        return held

    # -- life ------------------------------------------------------------------------------------------------------

    async def watch(self, interval: float = WATCH_INTERVAL) -> None:
        """Every `interval` seconds end what is late and add up the metrics, until cancelled."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                await asyncio.sleep(interval)
                now = loop.time()
                for exchange in [one for one in self._active if one.deadline < now]:
                    exchange.late()
                self._tally.flush()
        finally:
            self._tally.flush()

    def close(self) -> None:
        """Close the idle connections to upstreams."""
        for stock in self._stocks.values():
            stock.close()
