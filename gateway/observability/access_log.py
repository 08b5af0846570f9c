"""One line and one metric a request. Queries are left out: they may hold secrets."""

import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from json.encoder import encode_basestring as _quoted

from aiohttp import web

from gateway.config.schema import Log
from gateway.model import Decision, Principal, Target
from gateway.observability import metrics
from gateway.observability.log import JsonFormatter, current_handler, encode_line, escape_unprintable
from gateway.observability.tracing import RequestSpan
from gateway.proxy.client_response import BEGAN
from gateway.request.target import new_id

log = logging.getLogger("gateway.access")
_LONGEST_AGENT = 256


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
        self._config, self._chance, self._request_id = config, chance, request_id
        self._second, self._clock = -1, ""
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
        if not self._config.access or not log.isEnabledFor(logging.INFO):
            return False
        return status >= 400 or self._config.access_sample >= 1 or self._chance() < self._config.access_sample

    def new_trace(self, given: str = "") -> Trace:
        """Begin a trace; `given` is the id that a trusted proxy gave the request."""
        return Trace(given or self.new_id())

    def new_id(self) -> str:
        """Make an id for a request that has none."""
        return self._request_id()

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
        """Have a line written soon, with others. It does not go through the logging module: that costs more."""
        handler = current_handler()
        if handler is None:
            return
        target = trace.target
        client = str(target.client) if target else remote
        host, path = (target.host, trace.path or target.path) if target else (host, trace.path)
        ms = round(seconds * 1000, 2)
        if isinstance(handler.formatter, JsonFormatter):
            line = (
                f'{self._json_start()}, "id": {_quoted(trace.request_id)}, '
                f'"client": {"null" if client is None else _quoted(client)}, "method": {_quoted(method)}, '
                f'"host": {_quoted(host)}, "path": {_quoted(path)}, "status": {status}, "ms": {ms!r}, '
                f'"route": {_quoted(trace.route)}, "user": {_quoted(trace.user)}, '
                f'"verdict": {_quoted(trace.verdict)}, "reason": {_quoted(trace.reason)}, '
                f'"rule": {_quoted(trace.rule)}, "factors": {_json_numbers(trace.factors)}, '
                f'"upstream": {_quoted(trace.upstream)}, "bytes": {trace.sent}, '
                f'"agent": {_quoted(trace.agent[:_LONGEST_AGENT])}}}'
            )
            handler.output.later(encode_line(escape_unprintable(line)))
            return
        fields = {
            "event": "request",
            "id": trace.request_id,
            "client": client,
            "method": method,
            "host": host,
            "path": path,
            "status": status,
            "ms": ms,
            "route": trace.route,
            "user": trace.user,
            "verdict": trace.verdict,
            "reason": trace.reason,
            "rule": trace.rule,
            "factors": trace.factors,
            "upstream": trace.upstream,
            "bytes": trace.sent,
            "agent": trace.agent[:_LONGEST_AGENT],
        }
        record = logging.LogRecord(log.name, logging.INFO, "", 0, "request", None, None)
        record.fields = fields
        handler.output.later(encode_line(handler.format(record)))

    def _json_start(self) -> str:
        now = time.time()
        second = int(now)
        if second != self._second:
            self._second, self._clock = second, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        return (
            f'{{"ts": "{self._clock}.{int((now - second) * 1000):03d}Z", "level": "info", '
            '"logger": "gateway.access", "event": "request"'
        )


def _json_numbers(numbers: dict[str, int]) -> str:
    return f"{{{', '.join([f'{_quoted(name)}: {number}' for name, number in numbers.items()])}}}"
