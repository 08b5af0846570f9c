"""Answers forward-auth questions with a yes that is known of questions like them.

A proxy asks about each request of a browser with the same headers, but for the URI that it asks about. That is taken
out of the header block; what is left, asked about "/", is read once, by the functions that `forwardauth` has for it.
Whatever is no clear yes goes the ordinary way: nothing is refused here, nothing loaded, and no password checked.
"""

import re
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import NamedTuple

from multidict import CIMultiDict, CIMultiDictProxy, MultiMapping
from yarl import URL

from gateway.authn.shown_credentials import ApiPrincipal
from gateway.clock import Clock
from gateway.config.schema import Route
from gateway.errors import RequestRefused
from gateway.forwardauth import ForwardAuth
from gateway.forwardauth.original_request import Dialect, OriginalRequest
from gateway.model import Decision, Principal, Target, Verdict
from gateway.observability.access_line import LineStems
from gateway.observability.access_log import AccessLog
from gateway.policy.decide import Routes
from gateway.proxy.upstream_connection import serialize
from gateway.server.fastpath.client_address import ClientAddress
from gateway.server.fastpath.header_plans import (
    ASSERTION_GOOD_FOR,
    LARGEST_BLOCK,
    HeaderPlan,
    Plans,
    depends_on_headers_only,
    headers_of,
    target_of,
)
from gateway.server.fastpath.known_callers import KnownCallers
from gateway.server.fastpath.known_yes import KnownYes
from gateway.server.fastpath.metrics_tally import Tally
from gateway.server.fastpath.request_head import PLAIN_PATH, PLAIN_QUERY, FastRequestHead
from gateway.server.fastpath.wanted import ExchangeClient

_KNOWN = 2048
_PLAIN = rb"(?P<path>" + PLAIN_PATH + rb")(?:\?(?P<query>" + PLAIN_QUERY + rb"))?(?=\r\n|\Z)"
_URI = {
    "X-Original-URL": re.compile(rb"https?://[0-9A-Za-z._-]+(?::[0-9]+)?" + _PLAIN),
    "X-Forwarded-Uri": re.compile(_PLAIN),
}


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
    stems: LineStems


@dataclass(slots=True)
class KnownQuestion:
    """What questions have in common that differ in the URI alone. `about` asks about "/"."""

    plan: HeaderPlan
    question: PlainQuestion
    door: Dialect
    about: OriginalRequest
    authorization: Sequence[str]
    """The values of Authorization, where they count."""
    yes: dict[int, Yes] = field(default_factory=dict)


class Questions:
    """Takes the questions of a worker. `plans` read header blocks, `tally` counts what was answered."""

    def __init__(
        self,
        forward: ForwardAuth,
        routes: Routes,
        callers: KnownCallers,
        plans: Plans,
        access: AccessLog,
        tally: Tally,
        clock: Clock,
    ) -> None:
        self._forward, self._routes, self._callers = forward, routes, callers
        self._plans, self._access, self._tally, self._clock = plans, access, tally, clock
        self._remembers = {id(route): depends_on_headers_only(route) for route in routes.all}
        self._known: OrderedDict[tuple[object, ...], KnownQuestion | None] = OrderedDict()

    def take(self, client: ExchangeClient, address: ClientAddress, head: FastRequestHead) -> KnownYes | None:
        """The answer, not yet sent, to a plain question that is known to be a yes."""
        method, path, query, block = head.line.method, head.line.path, head.line.query, head.block
        if head.length or head.chunked:
            return None
        if path in self._forward.doors:
            found = (head.find(name, value) for name, value in _URI.items())
            uri = next((one for one in found if one is not None), None)
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
        if route is None:
            return None
        caller = self._callers.find(route, asked, asked.method, plan, known.authorization)
        if caller is None:
            return None
        principal = caller.principal
        yes, now = known.yes.get(id(route)), self._clock()
        if yes is None or yes.principal is not principal or now >= yes.until:
            yes = self._prepare(known, route, replace(asked, path=path, query=query), caller)
            if yes is None:
                return None
            known.yes[id(route)] = yes
        decision = yes.decision
        if decision is None:
            target = replace(asked, path=path, query=query)
            _, decision = self._forward.decide(known.question, known.door, (route,), target, principal)
            if decision.verdict is not Verdict.ALLOW:
                return None
        return KnownYes(
            client,
            self._access,
            self._tally,
            method=method,
            path=path,
            status=known.door.yes,
            start=yes.start,
            name=plan.name(head.named) or self._access.new_id(),
            stem=yes.stems.of(decision),
            now=now,
            stays_open=plan.stays_open,
        )

    def _prepare(
        self, known: KnownQuestion, route: Route, target: Target, caller: ApiPrincipal
    ) -> Yes | None:
        """The answer about this route for this caller, from the functions that the ordinary path uses."""
        principal = caller.principal
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
        told = forward.told(route, target, principal, door, consumed=caller.consumed)
        pairs = [(name.encode(), value.encode()) for name, value in told.items()]
        line = b"HTTP/1.1 %d %b" % (door.yes, HTTPStatus(door.yes).phrase.encode())
        return Yes(
            principal=principal,
            until=self._clock() + ASSERTION_GOOD_FOR,
            decision=decision if self._remembers[id(route)] else None,
            start=serialize(line, [*pairs, (b"Server", b"auth-gateway")])[:-2],
            stems=LineStems(
                target=known.about.target,
                principal=principal,
                route=route.label,
                upstream="",
                agent=known.plan.agent,
            ),
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
        if at.in_header and sum(len(headers.getall(name, ())) for name in _URI) != 1:
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
        return KnownQuestion(
            plan=plan,
            question=question,
            door=door,
            about=about,
            authorization=self._forward.authorization(question, about),
        )

    def _ask(
        self, plan: HeaderPlan, question: PlainQuestion, at: AskedAt, path: str, query: str
    ) -> tuple[Dialect, OriginalRequest]:
        """How a question about this path and query is read. Raises RequestRefused."""
        here = target_of(plan, at.method, at.path, at.query)
        if at.in_header:
            headers = CIMultiDict(question.headers)
            for name in _URI:
                if name in headers:
                    headers[name] = headers[name][:-1] + (f"{path}?{query}" if query else path)
            question = PlainQuestion(CIMultiDictProxy(headers), question.query)
        else:
            here = replace(here, path=at.path + path[1:], query=query)
        door, suffix = self._forward.door_of(question, here)
        return door, door.read(question, here, suffix)
