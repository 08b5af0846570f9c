"""The numbers of the console's first page: sign-ins, apps and the gateway itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import inf

from gateway import __version__
from gateway.admin.charts import Chart, bar_chart
from gateway.admin.services import AdminServices
from gateway.admin.traffic import Traffic, together, traffic
from gateway.config.checks.registry import CHECKS
from gateway.config.yaml_document import show_path
from gateway.directory.base import glance
from gateway.observability import metrics
from gateway.proxy.proxy import UpstreamHealth

HOURS = 24
FAILURES = ("password_failed", "code_failed", "login_refused")
_COUNTED = ("login", *FAILURES, "code_sent", "send_failed")


@dataclass(frozen=True, slots=True)
class Warned:
    """A warning about the configuration: where it stands, which key it is about, and what is wrong."""

    where: str
    key: str
    problem: str
    mend: str


@dataclass(frozen=True, slots=True)
class Overview:
    """Numbers of the last 24 hours, but for `users`, `sessions` and `traffic` since the start."""

    version: str
    users: int
    disabled: int
    sessions: int
    logins: int
    failures: int
    codes: int
    unsent: int
    traffic: Traffic
    sign_ins: Chart
    latency: Chart
    upstreams: Sequence[UpstreamHealth]
    warnings: Sequence[Warned]


async def overview(admin: AdminServices, sessions: int) -> Overview:
    """Collect the numbers of the last 24 hours. `sessions` is how many there are."""
    now = admin.services.clock()
    last = now - now % 3600 + 3600
    edges = [last - 3600 * hour for hour in range(HOURS, -1, -1)]
    counts = await admin.search.counts(edges, _COUNTED)
    failures = [sum(hour) for hour in zip(*(counts[event] for event in FAILURES), strict=True)]
    labels = [f"{datetime.fromtimestamp(edge, UTC):%H:%M}" for edge in edges[:-1]]
    census = (await glance(admin.services.users.directory, limit=0)).census
    total = together(traffic(metrics.samples()).values())
    return Overview(
        version=__version__,
        users=census.users,
        disabled=census.disabled,
        sessions=sessions,
        logins=sum(counts["login"]),
        failures=sum(failures),
        codes=sum(counts["code_sent"]),
        unsent=sum(counts["send_failed"]),
        traffic=total,
        sign_ins=bar_chart(labels, {"good": counts["login"], "bad": failures}),
        latency=_latency(total),
        upstreams=admin.upstreams(),
        warnings=warnings(admin),
    )


def _latency(total: Traffic) -> Chart:
    """How many requests fell between each bound and the one before."""
    bounds = sorted(total.buckets)
    each = [total.buckets[b] - (total.buckets[a] if a is not None else 0) for a, b in _steps(bounds)]
    labels = ["∞" if bound == inf else f"≤ {bound * 1000:g} ms" for bound in bounds]
    return bar_chart(labels, {"requests": each}, ticks=5)


def _steps(bounds: Sequence[float]) -> list[tuple[float | None, float]]:
    return list(zip([None, *bounds[:-1]], bounds, strict=True)) if bounds else []


def warnings(admin: AdminServices) -> list[Warned]:
    """What `auth-gateway check` warns about in the configuration that is in force."""
    config = admin.config
    found = [one for _, check in CHECKS for one in check(config) if one.warning]
    return [
        Warned(where=config.where(*one.path), key=show_path(one.path), problem=one.problem, mend=one.mend)
        for one in found
    ]
