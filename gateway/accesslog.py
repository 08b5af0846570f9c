"""One JSON line and one metric a request. Queries are left out: they may hold secrets."""

import logging
import random
from collections.abc import Callable

from aiohttp import web

from gateway import metrics
from gateway.config.schema import Log
from gateway.gate import Trace

log = logging.getLogger("gateway.access")


class AccessLog:
    """`chance` decides which successful requests are logged when `log.access_sample` is below 1."""

    def __init__(self, config: Log, chance: Callable[[], float] = random.random) -> None:
        self._config, self._chance = config, chance

    def write(self, request: web.BaseRequest, trace: Trace, status: int, seconds: float) -> None:
        target = trace.target
        metrics.requests.labels(trace.route, str(status), trace.verdict).inc()
        metrics.latency.labels(trace.route).observe(seconds)
        if not self._config.access or (status < 400 and self._chance() >= self._config.access_sample):
            return
        fields = {
            "event": "request",
            "id": trace.request_id,
            "client": str(target.client) if target else request.remote,
            "method": request.method,
            "host": target.host if target else "",
            "path": target.path if target else "",
            "status": status,
            "ms": round(seconds * 1000, 2),
            "route": trace.route,
            "user": trace.user,
            "verdict": trace.verdict,
            "reason": trace.reason,
        }
        log.info("request", extra={"fields": fields})
