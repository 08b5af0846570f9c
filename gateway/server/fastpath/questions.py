"""Answers forward-auth questions with a yes that is known of questions like them.

A proxy asks about each request of a browser with the same headers, but for the URI that it asks about. That is taken
out of the header block; what is left, asked about "/", is read once, by the functions that `forwardauth` has for it.
Whatever is no clear yes goes the ordinary way: nothing is refused here, nothing loaded, and no password looked at.
"""

import re
import time
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import NamedTuple

from multidict import CIMultiDict, CIMultiDictProxy, MultiMapping
from yarl import URL

from gateway.clock import Clock
from gateway.config.schema import Route
from gateway.errors import RequestRefused
from gateway.forwardauth import ForwardAuth
from gateway.forwardauth.decision import CONSUMES
from gateway.forwardauth.original_request import Dialect, OriginalRequest
from gateway.model import Decision, Principal, Target, Verdict
from gateway.observability.access_log import AccessLog, Trace
from gateway.policy.decide import Routes
from gateway.proxy.http_date import http_date
from gateway.proxy.upstream_connection import serialize
from gateway.server.fastpath.header_plans import (
    ASSERTION_GOOD_FOR,
    LARGEST_BLOCK,
    ClientAddress,
    HeaderPlan,
    Plans,
    depends_on_headers_only,
    headers_of,
    target_of,
)
from gateway.server.fastpath.metrics_tally import Tally
from gateway.server.fastpath.request_head import PLAIN_PATH, PLAIN_QUERY, FastRequestHead
from gateway.server.fastpath.wanted import ExchangeClient
from gateway.session import Sessions

_KNOWN = 2048
_NAMES = ("X-Forwarded-Uri", "X-Original-URL")
_URI = re.compile(
    rb"\r\n(?i:x-forwarded-uri:[ \t]*|x-original-url:[ \t]*https?://[0-9a-z._-]+(?::[0-9]+)?)"
    rb"(?P<path>" + PLAIN_PATH + rb")(?:\?(?P<query>" + PLAIN_QUERY + rb"))?(?=\r\n|\Z)"
)


@dataclass(frozen=True, slots=True)
class PlainQuestion:
    """A question as `forwardauth` looks at it."""

    headers: CIMultiDictProxy[str]
    query: MultiMapping[str]


class AskedAt(NamedTuple):
    """Where a question was sent: `path` as far as it is ours."""

    method: str
    path: str
    query: str
    in_header: bool
    """Whether the original request stands in a header; else it stands behind `path`, which ends with a slash."""


@dataclass(slots=True)
class Yes:
    """The answer for one route and principal, written but for the request's name and what follows it."""

    principal: Principal | None
    until: float
    decision: Decision | None
    """What policy says, if it says the same of every path, query and moment."""
    start: bytes


@dataclass(slots=True)
class KnownQuestion:
    """What questions have in common that differ in the URI alone. `about` asks about "/"."""

    plan: HeaderPlan
    question: PlainQuestion
    door: Dialect
    about: OriginalRequest
    yes: dict[int, Yes] = field(default_factory=dict)


class KnownYes:
    """A yes that waits for nobody: it is written whole, and the connection is free again."""

    __slots__ = (
        "_access",
        "_client",
        "_method",
        "_since",
        "_start",
        "_status",
        "_tally",
        "_trace",
        "stays_open",
    )
    request_body, expects = None, False

    def __init__(
        self,
        client: ExchangeClient,
        access: AccessLog,
        tally: Tally,
        *,
        method: str,
        status: int,
        start: bytes,
        trace: Trace,
        stays_open: bool,
    ) -> None:
        self.stays_open = stays_open
        self._client, self._access, self._tally = client, access, tally
        self._method, self._status, self._start, self._trace = method, status, start, trace
        self._since = time.perf_counter()

    def start(self) -> None:
        """Send it, count it, and have a line written of it."""
        client, trace = self._client, self._trace
        closes = not client.may_stay_open
        if client.transport is not None:
            length = b"" if self._method == "HEAD" else b"Content-Length: 0\r\n"
            close = b"Connection: close\r\n\r\n" if closes else b"\r\n"
            name = trace.request_id.encode()
            out = b"%bX-Request-Id: %b\r\n%bDate: %b\r\n%b"
            client.transport.write(out % (self._start, name, length, http_date(), close))
        seconds = time.perf_counter() - self._since
        self._tally.count(trace.route, self._status, seconds)
        if self._access.wants(self._status):
            self._access.line(self._method, trace, self._status, seconds)
        client.answered(keep=not closes)

    # There is no body to hear of, and nothing left to stop or to go on with.

    def body(self, data: bytes) -> None: ...
    def body_end(self) -> None: ...
    def body_broken(self, cause: str) -> None: ...
    def pause_writing(self) -> None: ...
    def resume_writing(self) -> None: ...
    def client_gone(self, exc: BaseException | None) -> None: ...


class Questions:
    """Takes the questions of a worker. `plans` read header blocks, `tally` counts what was answered."""

    def __init__(
        self,
        forward: ForwardAuth,
        routes: Routes,
        sessions: Sessions,
        plans: Plans,
        access: AccessLog,
        tally: Tally,
        clock: Clock,
    ) -> None:
        self._forward, self._routes, self._sessions = forward, routes, sessions
        self._plans, self._access, self._tally, self._clock = plans, access, tally, clock
        self._remembers = {id(route): depends_on_headers_only(route) for route in routes.all}
        self._known: OrderedDict[tuple[object, ...], KnownQuestion | None] = OrderedDict()

    def take(
        self, client: ExchangeClient, address: ClientAddress, head: FastRequestHead, path: str
    ) -> KnownYes | None:
        """The answer, not yet sent, to a plain question at `path` that is known to be a yes."""
        method, query, block = head.line[1].decode(), (head.line[3] or b"").decode(), head.block
        if head.length or head.chunked:
            return None
        if path in self._forward.doors:
            uri = _URI.search(block)
            if uri is None:
                return None
            at = AskedAt(method, path, query, in_header=True)
            block = b"%b/%b" % (block[: uri.start("path")], block[uri.end() :])
            path, query = uri["path"].decode(), (uri["query"] or b"").decode()
        else:
            start = next((one for one in self._forward.doors_below if path.startswith(one)), None)
            if start is None:
                return None
            at = AskedAt(method, start, "", in_header=False)
            path = path[len(start) - 1 :]
        known = self._find(block, at, address)
        if known is None or (head.named and known.plan.names_itself):
            return None
        plan, asked = known.plan, known.about.target
        route = self._routes.match(asked.host, path)
        principal = self._sessions.cached(plan.session, asked.host) if plan.session else None
        if route is None or (plan.session and principal is None):
            return None
        yes, now = known.yes.get(id(route)), self._clock()
        if yes is None or yes.principal is not principal or now >= yes.until:
            yes = self._prepare(known, route, replace(asked, path=path, query=query), principal)
            if yes is None:
                return None
            known.yes[id(route)] = yes
        decision = yes.decision
        if decision is None:
            target = replace(asked, path=path, query=query)
            _, decision = self._forward.decide(known.question, known.door, (route,), target, principal)
            if decision.verdict is not Verdict.ALLOW:
                return None
        trace = self._access.new_trace(plan.name(head.named))
        trace.target, trace.path, trace.route, trace.agent = asked, path, route.label, plan.agent
        trace.decided(decision, principal, now)
        return KnownYes(
            client,
            self._access,
            self._tally,
            method=method,
            status=known.door.yes,
            start=yes.start,
            trace=trace,
            stays_open=plan.stays_open,
        )

    def _prepare(
        self, known: KnownQuestion, route: Route, target: Target, principal: Principal | None
    ) -> Yes | None:
        """The answer about this route for this principal, from the functions that the ordinary path uses."""
        forward, question, door = self._forward, known.question, known.door
        try:
            routes = forward.routes_of(replace(known.about, target=target))
            if len(routes) != 1 or routes[0] is not route:
                return None
            forward.check(question, target, route, names_route=door.names_route)
        except RequestRefused:
            return None
        _, decision = forward.decide(question, door, routes, target, principal)
        if decision.verdict is not Verdict.ALLOW:
            return None
        told = forward.told(route, target, principal, door, consumed=False)
        pairs = [(name.encode(), value.encode()) for name, value in told.items()]
        line = b"HTTP/1.1 %d %b" % (door.yes, HTTPStatus(door.yes).phrase.encode())
        return Yes(
            principal=principal,
            until=self._clock() + ASSERTION_GOOD_FOR,
            decision=decision if self._remembers[id(route)] else None,
            start=serialize(line, [*pairs, (b"Server", b"auth-gateway")])[:-2],
        )

    def _find(self, block: bytes, at: AskedAt, address: ClientAddress) -> KnownQuestion | None:
        """What is known of questions like this, None if they are for the ordinary path."""
        key = (block, at, address.text, address.secure)
        if key in self._known:
            self._known.move_to_end(key)
            return self._known[key]
        if len(block) > LARGEST_BLOCK:
            return None
        found = self._known[key] = self._read(block, at, address)
        if len(self._known) > _KNOWN:
            self._known.popitem(last=False)
        return found

    def _read(self, block: bytes, at: AskedAt, address: ClientAddress) -> KnownQuestion | None:
        plan = self._plans.make(block, address)
        if plan is None or not plan.peer.trusted:
            return None
        headers = headers_of(plan.pairs)
        if plan.has_authorization and CONSUMES in headers:
            return None
        if at.in_header and sum(len(headers.getall(name, ())) for name in _NAMES) != 1:
            return None  # taken out of one of them, it would still stand in the other
        question = PlainQuestion(headers, URL.build(path=at.path, query_string=at.query, encoded=True).query)
        try:
            door, about = self._ask(plan, question, at, "/", "")
            _, probe = self._ask(plan, question, at, "/probe", "x=1")
        except RequestRefused:
            return None
        # Some doors look for the URI elsewhere, or for none.
        expected = replace(about, target=replace(about.target, path="/probe", query="x=1"))
        if probe != expected:
            return None
        return KnownQuestion(plan=plan, question=question, door=door, about=about)

    def _ask(
        self, plan: HeaderPlan, question: PlainQuestion, at: AskedAt, path: str, query: str
    ) -> tuple[Dialect, OriginalRequest]:
        """How a question about this path and query is read. Raises RequestRefused."""
        here = target_of(plan, at.method, at.path, at.query)
        if at.in_header:
            headers = CIMultiDict(question.headers)
            for name in _NAMES:
                if name in headers:
                    headers[name] = headers[name][:-1] + (f"{path}?{query}" if query else path)
            question = PlainQuestion(CIMultiDictProxy(headers), question.query)
        else:
            here = replace(here, path=at.path + path[1:], query=query)
        door, suffix = self._forward.door_of(question, here)
        return door, door.read(question, here, suffix)
