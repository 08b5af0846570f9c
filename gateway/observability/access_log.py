"""One JSON line and one metric a request. Queries are left out: they may hold secrets."""

import logging
import random
from collections.abc import Callable

from aiohttp import web

from gateway.config.schema import Log
from gateway.observability import metrics
from gateway.observability.request_trace import Trace
from gateway.proxy.client_response import BEGAN
from gateway.request.request_id import fresh

log = logging.getLogger("gateway.access")
_LONGEST_AGENT = 256


class AccessLog:
    """`chance` decides which successful requests are logged when `log.access_sample` is below 1."""

    def __init__(
        self,
        config: Log,
        chance: Callable[[], float] = random.random,
        request_id: Callable[[], str] = fresh,
    ) -> None:
        self._config, self._chance, self._request_id = config, chance, request_id

    def write(
        self, request: web.BaseRequest, trace: Trace, status: int, started: float, ended: float
    ) -> None:
        """The metric is the time to the head of the answer: streams and downloads take as long as they like.

        Times are of perf_counter.
        """
        metrics.requests.labels(trace.route, str(status), trace.verdict).inc()
        if status != 101:  # a WebSocket lives as long as its page: that is no time to answer
            metrics.latency.labels(trace.route).observe(request.get(BEGAN, ended) - started)
        if self.wants(status):
            self.line(request.method, trace, status, ended - started, remote=request.remote)

    def wants(self, status: int) -> bool:
        """Whether a request with this status is to be logged."""
        return self._config.access and (status >= 400 or self._chance() < self._config.access_sample)

    def new_trace(self, given: str = "") -> Trace:
        """`given` is the name that a trusted proxy gave the request."""
        return Trace(given or self.new_id())

    def new_id(self) -> str:
        """A name for a request that has none."""
        return self._request_id()

    def line(
        self, method: str, trace: Trace, status: int, seconds: float, *, remote: str | None = None
    ) -> None:
        target = trace.target
        fields = {
            "event": "request",
            "id": trace.request_id,
            "client": str(target.client) if target else remote,
            "method": method,
            "host": target.host if target else "",
            "path": trace.path or (target.path if target else ""),
            "status": status,
            "ms": round(seconds * 1000, 2),
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
        log.info("request", extra={"fields": fields})
