"""The targets of issue 5, and how a result stands to them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

NGINX, RIVAL, OURS = "nginx", "oauth2-proxy", ("gateway", "gateway, fast path off")


@dataclass(frozen=True, slots=True)
class Judged:
    what: str
    wanted: str
    measured: str
    met: bool


def judged(result: Mapping[str, Any]) -> Iterator[Judged]:
    """Of the mode that is on by default; of the ordinary path where it is the only one."""
    shares = result["ratios"]
    name = next((name for name in OURS if name in shares["small"]), None)
    if name is None:
        return
    yield at_least("120 B, share of nginx", 0.70, shares["small"][name])
    if RIVAL in shares["small"]:
        yield at_least("120 B, above oauth2-proxy", shares["small"][RIVAL], shares["small"][name])
    yield at_least("1 MiB, share of nginx", 0.80, shares["large"][name])
    p99 = result["latency_ms"]["p99"]
    yield below("p99, ms", 2 * p99[NGINX], p99[name])
    yield below("MiB a worker after load", 60, result["scaling"]["2"]["worker_mib"])
    yield below("KiB an idle WebSocket", 15, result["websockets"]["idle_kib"][name])
    one, two = (result["scaling"][count]["gateway_us"] for count in ("1", "2"))
    yield below("CPU of a request with 2 workers, share of 1's", 1.1, two / one)


def at_least(what: str, wanted: float, measured: float) -> Judged:
    return Judged(what, f"≥ {wanted:.2f}", f"{measured:.2f}", measured >= wanted)


def below(what: str, wanted: float, measured: float) -> Judged:
    return Judged(what, f"< {wanted:.2f}", f"{measured:.2f}", measured < wanted)
