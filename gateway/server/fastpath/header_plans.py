"""What can be known of a request from its header block alone, worked out once and used for each request like it.

Browsers send the same headers again and again on a connection; only the request line changes. A plan holds what the
shared, ordinary functions (read_target, request_headers, decide) made of a block; nothing is decided anew here.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from multidict import CIMultiDict, CIMultiDictProxy

from gateway.authn.api_credentials import Presented
from gateway.config.schema import Network, Route
from gateway.errors import RequestRefused
from gateway.model import Decision, Principal, Target
from gateway.observability.access_line import LineStems
from gateway.proxy.client_headers import Pairs
from gateway.proxy.identity import Assertions
from gateway.proxy.request_headers import Peer, host_header, named, request_headers
from gateway.proxy.response_headers import Rewriter
from gateway.proxy.upstream_connection import serialize
from gateway.proxy.upstreams import PreparedRoute, UpstreamAddress
from gateway.request.forwarded import is_trusted
from gateway.request.target import (
    REQUEST_ID,
    CountryOf,
    agent_of,
    cookie_header,
    cookie_value,
    given_id,
    read_target,
)
from gateway.server.fastpath.client_address import ClientAddress
from gateway.server.fastpath.request_head import read_block
from gateway.server.fastpath.response_head import FastResponseHead, read_answer

_PLANS = 2048
_ANSWERS = 16
_DECISIONS, _LONGEST_SLOT = 16, 256
LARGEST_BLOCK = 4096  # a larger one is served without being remembered
_LARGEST_ANSWER = 1024  # likewise; clients can have a large part in what an app answers
ASSERTION_GOOD_FOR = 60.0
"""Seconds for which a rendered assertion is used again; it lives longer than that (see proxy.identity)."""


@dataclass(slots=True)
class Rendered:
    """A plan's header block for one route and principal, ready to send but for the end, and how to read the answer.

    `until` is a POSIX time in seconds; `response_time` and `idle_time` are the route's `timeouts`, in seconds.
    """

    principal: Principal | None
    until: float
    start: bytes
    """The end of the request line, and Host; a body's framing comes behind it."""
    block: bytes
    """The other headers."""
    named: bool
    """Whether the app hears of the request's name, behind the block."""
    rewriter: Rewriter
    response_time: float
    idle_time: float
    plain_target: bool
    lenient: bool
    """Whether the upstream's heads may have other line ends than CR LF."""
    stems: LineStems
    """What the log's lines of requests like it have in common."""
    decision: Decision | None = None
    """What policy says, if it says the same of every path, method and moment."""
    decisions: dict[tuple[str, str, str], Decision] = field(default_factory=dict)
    """What it says else, by method, path and, where a rule asks about that, query."""
    answers: dict[tuple[bytes, str], FastResponseHead] = field(default_factory=dict)
    carried: tuple[bytes, str, str] | None = None
    """What Envoy is told of requests like it, what it may keep, and who reads (`server.carried`); None before it was
    asked for.
    """

    def remember(self, slot: tuple[str, str, str], decision: Decision) -> None:
        """Keep one of `decisions`. They come from outside: few are kept, and none that are long."""
        if sum(map(len, slot)) <= _LONGEST_SLOT:
            if len(self.decisions) >= _DECISIONS:
                self.decisions.clear()
            self.decisions[slot] = decision

    def known(self, data: bytes, method: str) -> tuple[FastResponseHead, int] | None:
        """The final answer that `data` is, whole and without a byte behind it, and where its body begins; None for any
        other, and for heads that were not seen before.
        """
        end = data.find(b"\r\n\r\n")
        answer = self.answers.get((data[:end], method))
        if answer is None or answer.whole != len(data) - end - 4 or self.lenient:
            return None
        return answer, end + 4

    def answer(self, head: bytes, method: str, *, lenient: bool) -> FastResponseHead:
        """What `read_answer` makes of a response head. Apps repeat their heads until the Date changes.

        Raises OddResponse.
        """
        slot = (head, method)
        if slot in self.answers:
            return self.answers[slot]
        answer = read_answer(head, method, self.rewriter, lenient=lenient)
        if len(head) <= _LARGEST_ANSWER:
            if len(self.answers) >= _ANSWERS:
                self.answers.clear()
            self.answers[slot] = answer
        return answer


@dataclass(slots=True)
class HeaderPlan:
    """What a header block says, with the methods' and paths' part of the request left open."""

    target: Target
    pairs: Pairs
    peer: Peer
    session: str
    """What the session cookie holds, "" if there is none."""
    bound: str
    """What the cookie beside it holds that shows the browser's key, likewise."""
    stays_open: bool
    """Whether the client may send another request behind it: it did not say `Connection: close` (RFC 9112 §9.6)."""
    authorization: Sequence[str]
    """The values of Authorization."""
    expects: bool
    """Whether a body comes only behind 100 Continue, or an answer."""
    may_be_release: bool
    """Whether a POST like this could be our own confirmation of a kept form (session.kept_posts)."""
    agent: str
    named: str
    """What a trusted proxy calls the request, by a header that stands in the block."""
    names_itself: bool
    """Whether such a header stands there at all."""
    rendered: dict[tuple[int, str], Rendered] = field(default_factory=dict)
    presented: dict[int, Presented] = field(default_factory=dict)
    """What it shows of API credentials, by route."""

    def name(self, taken_out: str) -> str:
        """What a trusted proxy calls the request, "" for nobody; `taken_out` of the block before it was looked up."""
        return (taken_out if self.peer.trusted else "") or self.named


class Plans:
    """Plans by header block and peer, the most recently used of them.

    Args:
        cookie_names: of the session, and of the cookie beside it that shows the browser's key.
        trusted: `server.trusted_proxies`.
        header_count: more headers are for the ordinary path to refuse.
        country_of: where a client is.
        traced: whether we record traces; a trusted proxy's goes on on the ordinary path.
        rfc7239: whether trusted proxies tell addresses by Forwarded (RFC 7239) rather than X-Forwarded-*.
    """

    def __init__(
        self,
        cookie_names: tuple[str, str],
        trusted: tuple[Network, ...],
        header_count: int,
        country_of: CountryOf,
        *,
        traced: bool,
        rfc7239: bool,
    ) -> None:
        self._cookie_names, self._trusted, self._header_count = cookie_names, trusted, header_count
        self._traced, self._country_of, self._rfc7239 = traced, country_of, rfc7239
        self._plans: OrderedDict[tuple[bytes, str | None, bool], HeaderPlan | None] = OrderedDict()

    def find(self, block: bytes, address: ClientAddress) -> HeaderPlan | None:
        """Return the plan of a block, None if requests with it are for the ordinary path.

        `address` is the other end of the connection.
        """
        # Byte for byte the same block from the same address: with anything less one client could get another's plan.
        key = (block, address.text, address.secure)
        if key in self._plans:
            self._plans.move_to_end(key)
            return self._plans[key]
        plan = self.make(block, address)
        if len(block) <= LARGEST_BLOCK:
            self._plans[key] = plan
            if len(self._plans) > _PLANS:
                self._plans.popitem(last=False)
        return plan

    def make(self, block: bytes, address: ClientAddress) -> HeaderPlan | None:
        """The same, without looking whether it is known or remembering it."""
        pairs, peer = read_block(block, self._header_count), address.peer
        if pairs is None:
            return None
        # Method, path and query are not known here and do not matter for host, scheme and address: "GET /" stands in
        # for them until `target_of` puts the request's own in.
        headers, trusted = headers_of(pairs), is_trusted(peer, self._trusted)
        if self._traced and "traceparent" in headers and trusted:
            return None
        try:
            target = read_target(
                "GET",
                "/",
                headers,
                secure=address.secure,
                peer=peer,
                trusted=self._trusted,
                country_of=self._country_of,
                rfc7239=self._rfc7239,
            )
        except RequestRefused:
            return None
        session, bound = (cookie_value(cookie_header(headers), name) for name in self._cookie_names)
        return HeaderPlan(
            target=target,
            pairs=pairs,
            peer=Peer(address.text, trusted),
            session=session,
            bound=bound,
            stays_open="close" not in (value.lower() for value in headers.getall("Connection", ())),
            authorization=tuple(headers.getall("Authorization", ())),
            expects="Expect" in headers,
            may_be_release="text/plain" in headers.get("Content-Type", "").lower(),
            agent=agent_of(headers),
            named=given_id(headers.getall(REQUEST_ID, ()), trusted=trusted),
            names_itself=REQUEST_ID in headers,
        )


def render(
    plan: HeaderPlan,
    site: PreparedRoute,
    upstream: UpstreamAddress,
    principal: Principal | None,
    assertions: Assertions,
    now: float,
    *,
    consumed: bool,
) -> Rendered:
    """Make the headers for this upstream, with the functions that the ordinary path uses.

    `now`: POSIX time in seconds. `consumed`: Authorization was for us and goes no further.
    """
    target = plan.target
    assertion = assertions.issue(principal, target.host) if principal else None
    pairs = [pair for pair in plan.pairs if not consumed or pair[0].lower() != b"authorization"]
    headers = request_headers(pairs, site.rules, target, plan.peer, principal, assertion)
    host = (b"Host", host_header(site.route, target, upstream.authority).encode())
    return Rendered(
        principal=principal,
        until=now + ASSERTION_GOOD_FOR,
        start=serialize(b" HTTP/1.1", [host])[:-2],
        block=serialize(b"", headers)[2:-2],
        named=bool(named("any", site.rules)),
        rewriter=site.rewriter(upstream, target, known=principal is not None),
        response_time=site.route.timeouts.response or float("inf"),
        idle_time=site.route.timeouts.idle or float("inf"),
        plain_target=not (upstream.base or site.rules.prefix),
        lenient=site.route.upstream_http == "lenient",
        stems=LineStems(
            target=target,
            principal=principal,
            route=site.route.label,
            upstream=upstream.url,
            agent=plan.agent,
        ),
    )


def headers_of(pairs: Pairs) -> CIMultiDictProxy[str]:
    """The pairs as aiohttp would hold them."""
    return CIMultiDictProxy(
        CIMultiDict((name.decode("ascii"), value.decode("utf-8", "surrogateescape")) for name, value in pairs)
    )


def target_of(plan: HeaderPlan, method: str, path: str, query: str) -> Target:
    """The target of one request with the plan's headers."""
    return replace(plan.target, method=method, path=path, query=query)


def depends_on_headers_only(route: Route) -> bool:
    """Whether the route's answer is the same for every path, query, method and moment, so that it can be remembered."""
    asks = ("hosts", "paths", "query", "methods", "times", "max_age")
    return not any(getattr(rule, key) for rule in route.access for key in asks)


def depends_on_moment(route: Route) -> bool:
    """Whether the same request may get another answer a moment later, from the same rules and for the same user."""
    return any(rule.times or rule.max_age for rule in route.access)
