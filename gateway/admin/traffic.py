"""Sums up the metrics of each route: how many requests, how many failed, how long they took; all workers added up."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from math import inf

from prometheus_client.samples import Sample


@dataclass(slots=True)
class Traffic:
    """What went through one route. `buckets`: upper bound in seconds -> requests up to it; `statuses`: "2" for 2xx and
    so on.
    """

    requests: int = 0
    refused: int = 0
    statuses: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    buckets: dict[float, int] = field(default_factory=lambda: defaultdict(int))

    @property
    def failed(self) -> int:
        return self.statuses.get("5", 0)

    def quantile(self, share: float) -> float | None:
        """Seconds within which this share was answered, as well as the buckets tell; None without requests."""
        bounds = sorted(self.buckets)
        total = self.buckets[bounds[-1]] if bounds else 0
        if not total:
            return None
        below, floor = 0, 0.0
        for bound in bounds:
            count = self.buckets[bound]
            if count >= share * total:
                if bound == inf:
                    return floor
                return floor + (bound - floor) * (share * total - below) / max(count - below, 1)
            below, floor = count, bound
        return floor


def traffic(samples: Iterable[Sample]) -> dict[str, Traffic]:
    """By route."""
    found: dict[str, Traffic] = defaultdict(Traffic)
    for one in samples:
        if one.name == "auth_gateway_requests_total":
            count, of = int(one.value), found[one.labels["route"]]
            of.requests += count
            of.statuses[one.labels["status"][:1]] += count
            of.refused += count if one.labels["verdict"] not in ("allow", "") else 0
        elif one.name == "auth_gateway_request_seconds_bucket":
            found[one.labels["route"]].buckets[float(one.labels["le"])] += int(one.value)
    return dict(found)


def together(all_routes: Iterable[Traffic]) -> Traffic:
    """Add up the traffic of all routes."""
    total = Traffic()
    for one in all_routes:
        total.requests += one.requests
        total.refused += one.refused
        for key, count in one.statuses.items():
            total.statuses[key] += count
        for bound, count in one.buckets.items():
            total.buckets[bound] += count
    return total
