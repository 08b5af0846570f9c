"""A run's result as docs/performance.md and its plot. Every figure comes from the result, as does every verdict."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bench.svg import bars
from bench.targets import judged

Result = Mapping[str, Any]
KINDS = {"small": "120 B", "medium": "10 KiB", "large": "1 MiB", "upload": "1 MiB upload"}

_HEAD = """# Performance

Written by `make bench`; change `bench/report.py`, not this file. What the figures are worth is said under *Method*.

![Requests per second as a share of nginx's](performance.svg)
"""


def plot(result: Result) -> str:
    goals = {"small": 0.70, "large": 0.80}
    groups = [
        (f"{label}: share of nginx's plain proxy", result["ratios"][kind], goals.get(kind))
        for kind, label in KINDS.items()
    ]
    return bars(groups, "gateway")


def markdown(result: Result) -> str:
    parts = [_HEAD, *targets(result), *throughput(result), *latency(result), *memory(result), *others(result)]
    return "\n".join([*parts, *method(result)]) + "\n"


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    rule = ("---", *("---:" for _ in head[1:]))
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, rule, *rows)) + "\n"


def targets(result: Result) -> Iterator[str]:
    yield "## Against the targets of issue 5\n"
    rows = [
        (t.what, t.wanted, t.measured, {True: "met", False: "**not met**"}[t.met]) for t in judged(result)
    ]
    yield table(("Target", "wanted", "measured", ""), rows)


def throughput(result: Result) -> Iterator[str]:
    yield "## Requests per second, one core\n"
    yield "In brackets the share of nginx's plain proxy: the median of each round's own ratio.\n"
    rates, shares = result["throughput"], result["ratios"]
    rows = [
        (name, *(f"{rates[kind][name]:,.0f} ({shares[kind][name]:.2f})" for kind in KINDS))
        for name in rates["small"]
    ]
    yield table(("Server", *KINDS.values()), rows)
    for name, why in result["left_out"].items():
        yield f"Left out: {name}: {why.splitlines()[0]}\n"


def latency(result: Result) -> Iterator[str]:
    yield f"## Latency at {result['plan']['rate']:g} requests per second, 120 B\n"
    yield "Milliseconds from the moment a request was due, the client's own time included.\n"
    figures = result["latency_ms"]
    rows = [
        (name, f"{figures['p50'][name]:.2f}", f"{figures['p99'][name]:.2f}", f"{figures['failed'][name]:g}")
        for name in figures["p50"]
    ]
    yield table(("Server", "p50", "p99", "failed"), rows)


def memory(result: Result) -> Iterator[str]:
    yield "## Memory and WebSockets\n"
    weights, sockets = result["memory_mib"], result["websockets"]
    rows = []
    for name, fresh in weights["fresh"].items():
        echo, idle = sockets["echo"].get(name), sockets["idle_kib"].get(name)
        rows.append(
            (
                name,
                f"{fresh:.1f}",
                f"{weights['after_load'][name]:.1f}",
                "" if idle is None else f"{idle:.1f}",
                "" if echo is None else f"{echo:,.0f}",
            )
        )
    head = ("Server", "MiB at start", "MiB after load", "KiB an idle WebSocket", "echoes/s")
    yield table(head, rows)
    yield (
        "PSS of the server and all its processes. An idle WebSocket counts both of its connections; kernel "
        f"buffers are not in it. {result['plan']['sockets']} were open. Echo: 64-byte messages over 32 sockets."
    )


def others(result: Result) -> Iterator[str]:
    yield "\n## Sign-ins, forward-auth, workers\n"
    for name, rate in result["logins_per_second"].items():
        yield (
            f"- {name}: {rate:.1f} sign-ins per second, one after the other: two pages, password, code "
            f"({result['argon2']})."
        )
    if result["forward_auth_answers"]:
        yield (
            f"- The forward-auth endpoint gives {result['forward_auth_answers']:,.0f} answers per second; "
            "an exported nginx asks it only when its cache of 5 s does not know."
        )
    one, two = result["scaling"]["1"], result["scaling"]["2"]
    yield (
        f"- 2 workers instead of 1: the gateway goes from {one['gateway']:,.0f} to {two['gateway']:,.0f} requests "
        f"per second ({two['gateway'] / one['gateway']:.2f}×), nginx from {one['nginx']:,.0f} to "
        f"{two['nginx']:,.0f} ({two['nginx'] / one['nginx']:.2f}×). These run on both cores, which the load and the "
        "upstream use too, so the rate can't double. What workers cost each other shows in the processor time of a "
        f"request: {one['gateway_us']:.1f} µs with one, {two['gateway_us']:.1f} µs with two (nginx: "
        f"{one['nginx_us']:.1f} and {two['nginx_us']:.1f}). Equal means that as many cores as there are can be used."
    )
    yield (
        f"- Memory with 2 workers after load: {two['worker_mib']:.1f} MiB the larger worker, {two['all_mib']:.1f} MiB "
        "all three processes. Workers share what their parent has imported; a single process has all of it alone."
    )


def method(result: Result) -> Iterator[str]:
    machine, plan = result["machine"], result["plan"]
    yield f"""
## What takes the fast path, and what does not

GET, HEAD, POST, PUT, PATCH and DELETE with or without a body, of a session in memory or on a bypass route, with
`strip_path`, header rules and rules by path, method and query, go from socket to socket. The rest takes the ordinary
path, which decides and answers alike:

- Requests with Authorization: tokens and HTTP Basic count against limits that may need the store.
- Sessions that are not in memory: they are read from the store.
- Whatever policy does not allow, and upstreams that are down: pages, redirects and failover.
- Methods beyond those six, HTTP/1.0, absolute URLs, escapes, `;`, `//` and dots in the path, an empty query: they are
  rare, and their one reading is worked out in one place.
- Upgrade (WebSockets), TE, Trailer, Expect other than 100-continue, Destination and If (WebDAV), Connection options,
  a GET or HEAD with a body: what is said about one hop is not to be sent on unread.
- POST of text/plain: it could be the confirmation of a kept form. A Content-Length above `max_body`: 413.
- Our own pages and forward-auth; requests that are chosen to be traced; client certificates.

## Method

- {result["date"]}; {machine["cpu"]}, {machine["cores"]} cores, Linux {machine["kernel"]}, Python {machine["python"]}.
  Mean load of the 15 minutes before the end: {machine["load_average"]:.1f}; the bench alone makes about 1.5. What
  is above that others caused: absolute rates are then too low and latencies too high; ratios suffer less.
- Each server has core 0 to itself among the servers; the load, the upstream nginx and the WebSocket upstream share
  core 1. Where a server is fast, core 1 is the limit, which flatters everything slower than nginx.
- {plan["rounds"]} rounds of {plan["seconds"]:g} s; each asks every server once, beginning with another one; medians.
- Load: wrk, one thread, keep-alive; 32 connections, 16 for 1 MiB. wrk waits for an answer before it asks again, so
  its latencies are not used; `bench/paced.py` sends at a fixed rate and counts from when each request was due.
- "gateway" does its whole work: routing, session check of a signed-in cookie, header stripping and identity headers
  with a signed assertion, metrics, access log with 1 % of successes. nginx, HAProxy and Caddy only pass on;
  oauth2-proxy checks its encrypted session cookie and writes no request log.
- "nginx asks gateway" is `auth-gateway export nginx` with the gateway behind it, both on core 0.
- nginx: keep-alive to the upstream, unbuffered uploads, no temporary files.
- Authelia is not measured: it is no Go module that `go install` can build (its web front-end is built separately and
  embedded), and no package of this machine's distribution holds it.

## Versions
"""
    for name, version in result["versions"].items():
        yield f"- {name}: {version}"
