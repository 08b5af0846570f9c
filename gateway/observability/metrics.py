"""Prometheus metrics. With several workers, prometheus-client's multiprocess mode adds them up.

Labels hold only what the config names (routes, factors) and fixed words, never user input.
"""

import os
from collections.abc import Iterator

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.samples import Sample

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

requests = Counter("auth_gateway_requests_total", "Requests", ["route", "status", "verdict"])
latency = Histogram(
    "auth_gateway_request_seconds", "Time until the head of the answer", ["route"], buckets=BUCKETS
)
open_requests = Gauge("auth_gateway_open_requests", "Requests under way", multiprocess_mode="livesum")
sign_ins = Counter("auth_gateway_sign_ins_total", "Factors tried", ["factor", "outcome"])
tries_spent = Counter(
    "auth_gateway_tries_spent_total", "Accounts whose tries failures used up", ["factor", "event"]
)
codes_sent = Counter("auth_gateway_codes_sent_total", "Codes handed to a sender", ["factor", "outcome"])
sms_total = Counter(
    "auth_gateway_sms_total",
    "SMS and calls by each status that they reached",
    ["provider", "channel", "country", "status"],
)
sms_refused = Counter("auth_gateway_sms_refused_total", "SMS and calls that no budget allowed", ["reason"])
sms_lookups = Counter(
    "auth_gateway_sms_lookups_total", "Numbers looked up before a code, and what was found", ["outcome"]
)
sms_spend = Gauge(
    "auth_gateway_sms_spend",
    "Spent today (UTC)",
    ["currency", "channel"],
    multiprocess_mode="mostrecent",
)
clock_ahead = Gauge(
    "auth_gateway_clock_ahead_seconds",
    "How far this machine's clock is ahead of the database's",
    multiprocess_mode="mostrecent",
)
sweep_held = Gauge(
    "auth_gateway_sweep_held",
    "1 while an unusual share has expired at once and is not swept",
    ["what"],
    multiprocess_mode="livemax",
)
swept = Counter("auth_gateway_swept_rows_total", "Expired rows that were dropped", ["what"])
audit_archive_failing = Gauge(
    "auth_gateway_audit_archive_failing",
    "1 while rows of the audit log can't be archived, and so are not deleted",
    multiprocess_mode="livemax",
)
fault = Gauge(
    "auth_gateway_fault",
    "1 while this is so: descriptors, database_file, disk, key_ring",
    ["fault"],
    multiprocess_mode="livemax",
)
redis_forgot = Counter("auth_gateway_redis_forgot_total", "Times that Redis had lost what it kept")
workers_lost = Counter(
    "auth_gateway_workers_lost_total", "Workers that ended by themselves or were killed, by how", ["how"]
)
for _how in ("ended", "hung"):
    workers_lost.labels(_how)  # from 0 on: Prometheus sees no increase in a series that begins at 1
certificate_ends = Gauge(
    "auth_gateway_certificate_ends_timestamp_seconds",
    "When the certificate that ACME got ends (Unix time); 0 while there is none",
    multiprocess_mode="mostrecent",
)
certificate_overdue = Gauge(
    "auth_gateway_certificate_overdue",
    "1 while there is no certificate by ACME, or less than a sixth of its life is left",
    multiprocess_mode="mostrecent",
)
certificate_orders = Counter("auth_gateway_certificate_orders_total", "Orders by ACME", ["outcome"])
upstream_up = Gauge(
    "auth_gateway_upstream_up",
    "1 if the upstream answers",
    ["route", "upstream"],
    multiprocess_mode="mostrecent",
)
audit_rows_lost = Counter(
    "auth_gateway_audit_rows_lost_total", "Rows that the table of the audit log did not take"
)
log_lines_lost = Counter("auth_gateway_log_lines_lost_total", "Lines of the log that nobody read fast enough")


def exposition() -> tuple[bytes, str]:
    """The metrics of all workers in Prometheus' text format, and its content type."""
    return generate_latest(_of_all_workers()), CONTENT_TYPE_LATEST


def samples() -> Iterator[Sample]:
    """Yield the same numbers, for the console."""
    for family in _of_all_workers().collect():
        yield from family.samples


def _of_all_workers() -> CollectorRegistry:
    if not os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        return REGISTRY
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return registry


def add_latencies(route: str, bucket: int, number: int) -> None:
    """Count `number` observations in a bucket (index into BUCKETS; their number stands for infinity) at once.

    prometheus-client only offers one observation at a time; a test holds that both ways expose the same.
    """
    latency.labels(route)._buckets[bucket].inc(number)


def add_seconds(route: str, seconds: float) -> None:
    """Add to the sum of the observations counted by `add_latencies`."""
    latency.labels(route)._sum.inc(seconds)
