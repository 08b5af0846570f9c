"""What each kind of request must reach, and how a result stands to it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

NGINX, RIVAL, ENGINE, OURS, ORDINARY, ASKED = (
    "nginx",
    "oauth2-proxy",
    "gateway, engine envoy",
    "gateway",
    "gateway, fast path off",
    "gateway, asked",
)

SHARES = {
    "small": 0.80,
    "large": 1.0,
    "post": 0.70,
    "upload": 1.0,
    "huge": 1.0,
    "token": 0.60,
    "rules": 0.55,
    "forward": 0.80,
    "tls small": 0.65,
    "tls large": 1.0,
}
"""Kind -> wanted share of nginx's rate, which only passes on (the kinds of bench/kinds.py)."""

ENGINE_SHARES = {"tls small": 0.65, "http2 small": 0.80}
"""Kind -> wanted share of the rate of an Envoy that asks nobody, with `server.engine: envoy`."""

CPU_SHARES = {"fresh": 2.0, "tls fresh": 1.5}
"""Kind -> how often nginx's processor time of a request it may take."""

CPU_US = {"small": 45, "post": 90, "token": 80, "rules": 70, "forward": 45, "tls small": 60}
"""Kind -> processor time of a request in microseconds, on the machine where these were set."""


@dataclass(frozen=True, slots=True)
class Judged:
    what: str
    wanted: str
    measured: str
    met: bool


def judged(result: Mapping[str, Any], labels: Mapping[str, str]) -> Iterator[Judged]:
    """`labels` are the names of the kinds. What could not be measured has no line."""
    ratios, cpu_ratios, cpu = result["ratios"], result["cpu_ratios"], result["cpu_us"]
    for kind, share in SHARES.items():
        if (measured := ratios.get(kind, {}).get(ours(kind))) is not None:
            yield at_least(f"{labels[kind]}, share of nginx", share, measured)
    for kind, share in ENGINE_SHARES.items():
        if (measured := result["envoy_ratios"].get(kind, {}).get(ENGINE)) is not None:
            yield at_least(f"{labels[kind]} with engine envoy, share of Envoy alone", share, measured)
    for kind, share in CPU_SHARES.items():
        if (measured := cpu_ratios.get(kind, {}).get(ours(kind))) is not None:
            yield at_most(f"{labels[kind]}, CPU as a multiple of nginx's", share, measured)
    for kind, wanted in CPU_US.items():
        if (measured := cpu.get(kind, {}).get(ours(kind))) is not None:
            yield at_most(f"{labels[kind]}, µs CPU a request", wanted, measured)
    yield from _against_the_rival(ratios)
    yield from _of_a_process(result)


def ours(kind: str) -> str:
    """The row of a table that is judged."""
    return ASKED if kind == "forward" else OURS


def _against_the_rival(ratios: Mapping[str, Mapping[str, float]]) -> Iterator[Judged]:
    if RIVAL in ratios["forward"] and ASKED in ratios["forward"]:
        times = ratios["forward"][ASKED] / ratios["forward"][RIVAL]
        yield at_least("forward-auth, as a multiple of oauth2-proxy's /oauth2/auth", 3.0, times)
    if RIVAL in ratios["small"] and ORDINARY in ratios["small"]:
        times = ratios["small"][ORDINARY] / ratios["small"][RIVAL]
        yield at_least("ordinary path 120 B, as a multiple of oauth2-proxy", 1.0, times)


def _of_a_process(result: Mapping[str, Any]) -> Iterator[Judged]:
    logins, start, scaling = result["logins"], result["start"], result["scaling"]
    p99 = result["latency_ms"]["p99"]
    yield at_most("p99 as a multiple of nginx's", 2.0, p99[OURS] / p99[NGINX])
    yield at_most(
        "CPU of a sign-in as a multiple of its Argon2id", 2.0, logins["cpu_ms"] / logins["argon2_ms"]
    )
    yield at_most("seconds to start", 1.0, start["seconds"][OURS])
    yield at_most("MiB at start", 75, start["mib"][OURS])
    yield at_most("MiB a worker after load", 60, scaling["2"]["worker_mib"])
    yield at_most("KiB an idle WebSocket", 15, result["websockets"]["idle_kib"][OURS])
    yield at_most(
        "CPU of a request with 2 workers, share of 1's",
        1.1,
        scaling["2"]["gateway_us"] / scaling["1"]["gateway_us"],
    )


def at_least(what: str, wanted: float, measured: float) -> Judged:
    return Judged(what, f"≥ {wanted:.2f}", f"{measured:.2f}", measured >= wanted)


def at_most(what: str, wanted: float, measured: float) -> Judged:
    return Judged(what, f"≤ {wanted:.2f}", f"{measured:.2f}", measured <= wanted)
