"""The first code of ours that sees a request: reads what is asked for, lets the portal or the gate answer, and turns
whatever fails into a page, a log line and a number."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from aiohttp import web

from gateway.authn.shown_credentials import NotAccepted
from gateway.config.schema import Network
from gateway.errors import ClientGone, GatewayError, SessionEnded, TooManyAttempts
from gateway.i18n.text import N_
from gateway.model import IPAddress, Target
from gateway.observability import metrics
from gateway.observability.access_log import AccessLog, Trace
from gateway.observability.tracing import RequestTracer
from gateway.portal.dispatch import MethodNotAllowed
from gateway.portal.rendering.render import TRY_AGAIN, Action, Pages
from gateway.proxy.proxy import RelayedResponse
from gateway.request.client_kind import wants_html
from gateway.request.forwarded import is_trusted, peer_address
from gateway.request.target import REQUEST_ID, CountryOf, agent_of, given_id, read_target

log = logging.getLogger("gateway.front")
_PASSING = (502, 503, 504)
_GONE = 499  # nginx' number for a client that did not wait


class Answer(Protocol):
    """Answers one request. `trace` gets what is found out; `trusted_peer` is about the connection's other end."""

    def __call__(
        self, request: web.BaseRequest, target: Target, trace: Trace, /, *, trusted_peer: bool
    ) -> Awaitable[web.StreamResponse]: ...


@dataclass(frozen=True, slots=True)
class Door:
    """One of those who answer requests, and which it takes. What it has taken it answers, or raises.

    It has the paths of `exact`, and those that begin as one of `below`; some only at certain hosts, as `takes` knows.
    """

    name: str
    exact: frozenset[str]
    below: tuple[str, ...]
    answer: Answer
    takes: Callable[[Target], bool] | None = None

    def opens_to(self, target: Target) -> bool:
        """Tell whether a request is answered here."""
        if target.path not in self.exact and not target.path.startswith(self.below):
            return False
        return self.takes is None or self.takes(target)


class Handler:
    """Answers every request of the ordinary path, whatever happens on the way."""

    def __init__(
        self,
        doors: Sequence[Door],
        pages: Pages,
        access: AccessLog,
        *,
        prefix: str,
        trusted: tuple[Network, ...],
        host: str,
        country_of: CountryOf,
        front: Callable[[str], str],
        rfc7239: bool,
        tracing: RequestTracer | None = None,
    ) -> None:
        """Of `doors` the first that takes a request answers it. `host` is meant by requests that name none; `front`
        says where a host's front page is.
        """
        self._tracing, self._country_of = tracing, country_of
        self._pages, self._access = pages, access
        self._doors = tuple(doors)
        self._prefix, self._trusted, self._host = prefix, trusted, host
        self._rfc7239, self._front = rfc7239, front

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Every request comes through here."""
        started = time.perf_counter()
        trusted = is_trusted(_peer(request), self._trusted)
        trace = self._access.new_trace(given_id(request.headers.getall(REQUEST_ID, ()), trusted=trusted))
        trace.agent = agent_of(request.headers)
        if self._tracing is not None:
            chosen = bool(getattr(request.protocol, "chosen", False))
            trace.span = self._tracing.begin(request.headers, trusted=trusted, chosen=chosen)
        metrics.open_requests.inc()
        status = _GONE
        try:
            response = await self._answer(request, trace)
            status = response.status
        finally:
            metrics.open_requests.dec()
            if trace.span is not None:
                trace.span.end(f"{request.method} {trace.route}", status, trace.attributes(request.method))
            self._access.write(request, trace, status, started, time.perf_counter())
        return response

    async def _answer(self, request: web.BaseRequest, trace: Trace) -> web.StreamResponse:
        try:
            response = await self._route(request, trace)
        except ClientGone as gone:
            trace.reason = gone.detail
            raise ConnectionResetError from gone  # aiohttp's word for it: nobody waits for an answer
        except GatewayError as error:
            response = self._error_page(request, error, trace)
        except (asyncio.CancelledError, ConnectionError):
            raise
        except Exception:
            log.exception("request %s failed", trace.request_id)
            response = self._error_page(request, GatewayError(), trace)
        if not response.prepared:
            trace.sent = response.content_length or 0
            response.headers["Server"] = "auth-gateway"
            response.headers[REQUEST_ID] = trace.request_id
        if isinstance(response, RelayedResponse):
            trace.upstream, trace.sent = response.upstream, response.body_bytes
            if not response.complete:
                trace.reason = response.broke_off
        return response

    async def _route(self, request: web.BaseRequest, trace: Trace) -> web.StreamResponse:
        peer = _peer(request)
        trace.target = target = self._read(request, peer)
        door = next(door for door in self._doors if door.opens_to(target))
        return await door.answer(request, target, trace, trusted_peer=is_trusted(peer, self._trusted))

    def _read(self, request: web.BaseRequest, peer: IPAddress | None) -> Target:
        return read_target(
            request.method,
            request.raw_path,
            request.headers,
            secure=request.secure,
            peer=peer,
            trusted=self._trusted,
            # Load balancers' health checks like to come this way (RFC 9112 §3.2.2).
            default=self._host if request.version == (1, 0) else "",
            country_of=self._country_of,
            rfc7239=self._rfc7239,
        )

    def _error_page(self, request: web.BaseRequest, error: GatewayError, trace: Trace) -> web.StreamResponse:
        """What went wrong, kindly to the user and with its cause to the operator."""
        trace.reason = error.detail
        if error.status >= 500:
            log.warning("request %s: %s", trace.request_id, error.detail)
        pages = self._pages.of(trace.target.host) if trace.target else self._pages
        return pages.error(
            error.status,
            message=error.public,
            reader=self._pages.readers.of(request),
            request_id=trace.request_id,
            retry_after=error.retry_after if isinstance(error, TooManyAttempts) else None,
            actions=self._ways_on(request, error, trace),
            accepts_html=wants_html(request.method, request.headers),
            headers=_headers_of(error),
        )

    def _ways_on(self, request: web.BaseRequest, error: GatewayError, trace: Trace) -> list[Action]:
        if isinstance(error, SessionEnded):
            return [(N_("Sign in"), f"{self._prefix}/login")]
        if error.status == 404 and trace.route == "portal" and trace.target:
            return [(N_("Home"), self._front(trace.target.host))]
        if error.status in _PASSING and request.method == "GET":
            return [TRY_AGAIN]
        return []


def _peer(request: web.BaseRequest) -> IPAddress | None:
    return peer_address(request.transport.get_extra_info("peername")) if request.transport else None


def _headers_of(error: GatewayError) -> dict[str, str]:
    """What a status needs beside its page (RFC 9110 §15.5.2, §15.5.6)."""
    if isinstance(error, MethodNotAllowed):
        return {"Allow": error.allowed}
    return {"WWW-Authenticate": error.challenge} if isinstance(error, NotAccepted) else {}
