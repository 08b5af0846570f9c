"""Metrics of the fast path, added up here and handed to Prometheus a few times a second.

A labelled increment in the shared files costs as much as the rest of a request; an entry in a dict does not.
"""

from bisect import bisect_left
from collections import Counter

from gateway import metrics
from gateway.model import Verdict


class Tally:
    def __init__(self) -> None:
        self._requests: Counter[tuple[str, int]] = Counter()
        self._buckets: Counter[tuple[str, int]] = Counter()
        self._seconds: Counter[str] = Counter()

    def count(self, route: str, status: int, seconds: float) -> None:
        self._requests[route, status] += 1
        self._buckets[route, bisect_left(metrics.BUCKETS, seconds)] += 1
        self._seconds[route] += seconds  # type: ignore[assignment] # a Counter adds floats just as well

    def flush(self) -> None:
        for (route, status), number in self._requests.items():
            metrics.requests.labels(route, str(status), Verdict.ALLOW.value).inc(number)
        for (route, bucket), number in self._buckets.items():
            metrics.add_latencies(route, bucket, number)
        for route, seconds in self._seconds.items():
            metrics.add_seconds(route, seconds)
        self._requests.clear()
        self._buckets.clear()
        self._seconds.clear()
