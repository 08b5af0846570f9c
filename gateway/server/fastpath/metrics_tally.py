"""Metrics of the fast path, added up here and handed to Prometheus a few times a second.

A labelled increment in the shared files costs as much as the rest of a request; an entry in a dict does not.
"""

from bisect import bisect_left
from dataclasses import dataclass, field

from gateway.model import Verdict
from gateway.observability import metrics


@dataclass(slots=True)
class _Sum:
    number: int = 0
    seconds: float = 0.0
    buckets: list[int] = field(default_factory=lambda: [0] * (len(metrics.BUCKETS) + 1))


class Tally:
    """Sums by route and status since the last `flush`."""

    def __init__(self) -> None:
        self._sums: dict[tuple[str, int], _Sum] = {}

    def count(self, route: str, status: int, seconds: float) -> None:
        """Add one request that took so many seconds until its answer began."""
        known = self._sums.get((route, status))
        if known is None:
            known = self._sums[route, status] = _Sum()
        known.number += 1
        known.seconds += seconds
        known.buckets[bisect_left(metrics.BUCKETS, seconds)] += 1

    def flush(self) -> None:
        """Hand the sums to Prometheus and begin anew."""
        for (route, status), known in self._sums.items():
            metrics.requests.labels(route, str(status), Verdict.ALLOW.value).inc(known.number)
            metrics.add_seconds(route, known.seconds)
            for bucket, number in enumerate(known.buckets):
                if number:
                    metrics.add_latencies(route, bucket, number)
        self._sums.clear()
