"""One line and one metric a request. Queries are left out: they may hold secrets."""

import logging
import random
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from aiohttp import web

from gateway.config.schema import Log
from gateway.model import Decision, Principal, Target
from gateway.observability import metrics
from gateway.observability.access_line import LineStem, milliseconds
from gateway.observability.log import JsonFormatter, current_handler, encode_line, escape_unprintable
from gateway.observability.tracing import RequestSpan
from gateway.proxy.client_response import BEGAN
from gateway.request.target import new_id

log = logging.getLogger("gateway.access")
_AT_ONCE = 64
"""So many requests are noted before their lines are made."""
_Noted = tuple[float, LineStem, str, str, str, int, float, int, float]
"""When a request ended (Unix time), and what `AccessLog.like` was told of it."""


@dataclass(slots=True)
class Trace:
    """What the access log says of a request, filled in on its way by whoever finds something out. It decides nothing.

    A span of `tracing` carries it, too.
    """

    request_id: str
    target: Target | None = None
    path: str = ""
    route: str = ""
    user: str = ""
    verdict: str = ""
    reason: str = ""
    rule: str = ""
    agent: str = ""
    upstream: str = ""
    sent: int = 0
    factors: dict[str, int] = field(default_factory=dict)
    """What the caller had proven, and how many seconds ago: with it a request can be decided again (cli/replay)."""

    span: RequestSpan | None = None

    def attributes(self, method: str) -> dict[str, str | int]:
        """Return a span's attributes, in the names of OpenTelemetry's semantic conventions where there are such."""
        target = self.target
        return {
            "http.request.method": method,
            "http.route": self.route,
            "url.scheme": target.scheme if target else "",
            "url.path": self.path or (target.path if target else ""),
            "server.address": target.host if target else "",
            "client.address": str(target.client) if target else "",
            "auth_gateway.request_id": self.request_id,
            "auth_gateway.user": self.user,
            "auth_gateway.verdict": self.verdict,
            "auth_gateway.reason": self.reason,
            "auth_gateway.rule": self.rule,
        }

    def decided(self, decision: Decision, principal: Principal | None, now: float) -> None:
        """Note what policy decided about whom, at `now` (Unix seconds)."""
        self.verdict, self.reason, self.rule = decision.verdict.value, decision.reason, decision.rule
        self.called_by(principal, now)

    def called_by(self, principal: Principal | None, now: float) -> None:
        """Note who asks."""
        if principal is not None:
            self.user = principal.username
            proven = principal.session.proven_at
            self.factors = {factor: max(0, round(now - proven.get(factor, now))) for factor in principal.amr}


class AccessLog:
    """Writes the access log. `chance` decides which successful requests are logged when `log.access_sample` is below
    1.
    """

    def __init__(
        self,
        config: Log,
        chance: Callable[[], float] = random.random,
        request_id: Callable[[], str] = new_id,
    ) -> None:
        self._on, self._sample, self._chance = config.access, config.access_sample, chance
        self.new_id = request_id
        """Make an id for a request that has none."""
        self._second, self._clock = -1, ""
        self._millisecond, self._start = -1, ""
        self._noted: deque[_Noted] = deque()
        """Requests whose lines are not made yet, in the order of their ends."""
        self._awaited = False
        """Whether the output will ask for them."""
        handler = current_handler()
        if handler is not None:
            handler.output.on_loss = metrics.log_lines_lost.inc

    def write(
        self, request: web.BaseRequest, trace: Trace, status: int, started: float, ended: float
    ) -> None:
        """Write the line of a request that took from `started` to `ended` (seconds of time.perf_counter), and count it.

        The metric is the time to the head of the answer: streams and downloads take as long as they like.
        """
        metrics.requests.labels(trace.route, str(status), trace.verdict).inc()
        if status != 101:  # a WebSocket lives as long as its page: that is no time to answer
            metrics.latency.labels(trace.route).observe(request.get(BEGAN, ended) - started)
        if self.wants(status):
            self.line(request.method, trace, status, ended - started, remote=request.remote)

    def wants(self, status: int) -> bool:
        """Whether a request with this status is to be logged."""
        if not self._on or not log.isEnabledFor(logging.INFO):
            return False
        return self._sample >= 1 or status >= 400 or self._chance() < self._sample

    def new_trace(self, given: str = "") -> Trace:
        """Begin a trace; `given` is the id that a trusted proxy gave the request."""
        return Trace(given or self.new_id())

    def line(
        self,
        method: str,
        trace: Trace,
        status: int,
        seconds: float,
        *,
        remote: str | None = None,
        host: str = "",
    ) -> None:
        """Have a line written soon, with others; `remote` and `host` count where the request could not be read."""
        target = trace.target
        stem = LineStem(
            client=str(target.client) if target else remote,
            host=target.host if target else host,
            route=trace.route,
            user=trace.user,
            verdict=trace.verdict,
            reason=trace.reason,
            rule=trace.rule,
            upstream=trace.upstream,
            agent=trace.agent,
            factors=trace.factors,
        )
        path = trace.path or target.path if target else trace.path
        self.like(stem, trace.request_id, method, path, status, seconds, trace.sent, 0.0)

    def like(
        self,
        stem: LineStem,
        name: str,
        method: str,
        path: str,
        status: int,
        seconds: float,
        sent: int,
        now: float,
    ) -> None:
        """Have the line of a request written soon, of which `stem` has what it shares with others.

        `name` is its id, `sent` the bytes of the answer's body, `now` the Unix time of the ages in it. Here it is only
        noted: lines are made many at a time, and without the logging module, which costs more.
        """
        self._noted.append((time.time(), stem, name, method, path, status, seconds, sent, now))
        if not self._awaited or len(self._noted) >= _AT_ONCE:
            self._await()

    def _await(self) -> None:
        handler = current_handler()
        if handler is None:
            self._noted.clear()
        elif len(self._noted) < _AT_ONCE and handler.output.ask_later(self._make):
            self._awaited = True
        else:
            handler.output.ask(self._make)

    def _make(self) -> None:
        """Make the lines of all requests that were noted. Called by the output alone, by one thread at a time; that may
        be another one than the event loop's.
        """
        self._awaited = False  # before the rest: what is noted from here on is not overlooked
        handler, noted, lines = current_handler(), self._noted, []
        if handler is None:
            noted.clear()
            return
        as_json = isinstance(handler.formatter, JsonFormatter)
        while noted:
            one = noted.popleft()
            if as_json:
                at, stem, name, method, path, status, seconds, sent, now = one
                ms = milliseconds(seconds)
                line = stem.json(self._json_start(at), name, method, path, status, ms, sent, now)
                lines.append(encode_line(escape_unprintable(line)))
            else:
                lines.append(encode_line(handler.format(_record(one))))
        handler.output.later(*lines)

    def _json_start(self, now: float) -> str:
        second = int(now)
        millisecond = int((now - second) * 1000)
        if second != self._second:
            self._second, self._clock = second, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
            self._millisecond = -1
        if millisecond != self._millisecond:
            self._millisecond = millisecond
            self._start = (
                f'{{"ts": "{self._clock}.{millisecond:03d}Z", "level": "info", '
                '"logger": "gateway.access", "event": "request"'
            )
        return self._start


def _record(noted: _Noted) -> logging.LogRecord:
    """A line as the logging module has it, for other forms than JSON."""
    at, stem, name, method, path, status, seconds, sent, now = noted
    record = logging.LogRecord(log.name, logging.INFO, "", 0, "request", None, None)
    record.created, record.msecs = at, int(at % 1 * 1000) + 0.0
    record.fields = {
        "event": "request",
        "id": name,
        "client": stem.client,
        "method": method,
        "host": stem.host,
        "path": path,
        "status": status,
        "ms": round(seconds * 1000, 2),
        "route": stem.route,
        "user": stem.user,
        "verdict": stem.verdict,
        "reason": stem.reason,
        "rule": stem.rule,
        "factors": stem.factors(now),
        "upstream": stem.upstream,
        "bytes": sent,
        "agent": stem.agent,
    }
    return record
