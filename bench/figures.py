"""The arithmetic of a run: medians, percentiles, ratios, and what wrk and h2load print. No clock, no process."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class LoadResult:
    rate: float
    """Requests a second."""
    count: int
    """Requests answered."""
    failed: int
    """Socket errors and answers that are neither 2xx nor 3xx."""


def parse_wrk(output: str) -> LoadResult:
    rate = re.search(r"^Requests/sec:\s+([\d.]+)", output, re.MULTILINE)
    if rate is None:
        raise ValueError(f"wrk said no rate: {output[-300:]!r}")
    count = re.search(r"(\d+) requests in", output)
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", output)
    errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", output)
    failed = int(refused[1]) if refused else 0
    failed += sum(map(int, errors.groups())) if errors else 0
    return LoadResult(float(rate[1]), int(count[1]) if count else 0, failed)


def parse_h2load(output: str) -> LoadResult:
    rate = re.search(r"^finished in .*, ([\d.]+) req/s", output, re.MULTILINE)
    counts = re.search(r"^requests: .* (\d+) succeeded, (\d+) failed, (\d+) errored", output, re.MULTILINE)
    codes = re.search(r"^status codes: (\d+) 2xx", output, re.MULTILINE)
    if rate is None or counts is None or codes is None:
        raise ValueError(f"h2load said no rate: {output[-300:]!r}")
    done = int(counts[1])
    return LoadResult(float(rate[1]), done, done - int(codes[1]) + int(counts[2]) + int(counts[3]))


def percentile(values: Sequence[float], percent: float) -> float:
    """Nearest rank: a value that was measured, never one between two."""
    if not values:
        raise ValueError("no values")
    ordered = sorted(values)
    return ordered[max(0, math.ceil(percent / 100 * len(ordered)) - 1)]


Rounds = Sequence[Mapping[str, float]]
"""One mapping of server name -> figure for each round."""


def medians(rounds: Rounds) -> dict[str, float]:
    names = dict.fromkeys(name for one in rounds for name in one)
    return {name: median(one[name] for one in rounds if name in one) for name in names}


def ratios(rounds: Rounds, base: str) -> dict[str, float]:
    """The median of each round's own ratio to `base`: what slows a whole round down leaves it as it is."""
    return medians(
        [{name: value / one[base] for name, value in one.items()} for one in rounds if one.get(base)]
    )
