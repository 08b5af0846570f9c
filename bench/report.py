"""A run's result as docs/performance.md and its plot. Every figure comes from the result, as does every verdict."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bench.kinds import GROUPS, KINDS
from bench.svg import bars
from bench.targets import OURS, SHARES, judged

Result = Mapping[str, Any]
LABELS = {name: kind.label for name, kind in KINDS.items()}

_HEAD = """# Performance

Written by `make bench`; change `bench/report.py`, not this file. What the figures are worth is said under *Method*.

![Requests per second as a share of nginx's](performance.svg)
"""


def plot(result: Result) -> str:
    groups = [
        (f"{LABELS[kind]}: share of nginx's plain proxy", shares, SHARES.get(kind))
        for kind, shares in result["ratios"].items()
    ]
    return bars(groups, OURS)


def markdown(result: Result) -> str:
    parts = [_HEAD, *targets(result), *throughput(result), *latency(result), *memory(result), *others(result)]
    return "\n".join([*parts, *method(result)]) + "\n"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    rule = ("---", *("---:" for _ in head[1:]))
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, rule, *rows)) + "\n"


def targets(result: Result) -> Iterator[str]:
    yield "## Against the targets\n"
    rows = [
        (t.what, t.wanted, t.measured, {True: "met", False: "**not met**"}[t.met])
        for t in judged(result, LABELS)
    ]
    yield table(("Target", "wanted", "measured", ""), rows)


def throughput(result: Result) -> Iterator[str]:
    yield "## Requests per second, one core\n"
    yield (
        "In brackets the share of nginx's plain proxy (the median of each round's own ratio), then the processor "
        "time of one request in the server and its children. Where core 1 with the load is the limit, the rate "
        "flatters whoever is slow; the processor time does not.\n"
    )
    for title, kinds in GROUPS.items():
        shown = [kind for kind in kinds if kind in result["throughput"]]
        names = dict.fromkeys(name for kind in shown for name in result["throughput"][kind])
        yield f"### {title}\n"
        rows = [(name, *(cell(result, kind, name) for kind in shown)) for name in names]
        yield table(("Server", *(LABELS[kind] for kind in shown)), rows)
    for name, why in result["left_out"].items():
        yield f"Left out: {name}: {why.splitlines()[0]}\n"


def cell(result: Result, kind: str, name: str) -> str:
    rate = result["throughput"][kind].get(name)
    if rate is None:
        return ""
    figure = f"{rate:,.0f}" if rate >= 100 else f"{rate:.1f}"
    return f"{figure} ({result['ratios'][kind].get(name, 0):.2f}) {result['cpu_us'][kind][name]:,.0f} µs"


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
    yield "## Start, memory and WebSockets\n"
    start, sockets = result["start"], result["websockets"]
    rows = []
    for name, fresh in start["mib"].items():
        echo, idle = sockets["echo"].get(name), sockets["idle_kib"].get(name)
        rows.append(
            (
                name,
                f"{start['seconds'][name]:.2f}",
                f"{fresh:.1f}",
                f"{start['mib_after_load'][name]:.1f}",
                "" if idle is None else f"{idle:.1f}",
                "" if echo is None else f"{echo:,.0f}",
            )
        )
    head = ("Server", "s to start", "MiB at start", "MiB after load", "KiB an idle WebSocket", "echoes/s")
    yield table(head, rows)
    yield (
        "PSS of the server and all its processes. An idle WebSocket counts both of its connections; kernel "
        f"buffers are not in it. {result['plan']['sockets']} were open. Echo: 64-byte messages over 32 sockets. "
        "Start: until it answers (of ours: until a worker serves; our port is open before), on one core."
    )


def others(result: Result) -> Iterator[str]:
    logins = result["logins"]
    yield "\n## Sign-ins and workers\n"
    yield (
        f"- {logins['per_second']:.1f} sign-ins per second, one after the other: two pages, password, code. One "
        f"takes {logins['cpu_ms']:.0f} ms of processor time, of which {logins['argon2_ms']:.0f} ms are the password's "
        f"hash ({result['argon2']})."
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

GET, HEAD, POST, PUT, PATCH and DELETE with or without a body, of a session in memory, with an API token or HTTP Basic
that was checked within the last minute, or on a bypass route, with `strip_path`, header rules and rules by path, method
and query, go from socket to socket. A forward-auth question is answered from what is known of those that differ only in
the URI asked about. The rest takes the ordinary path, which decides and answers alike:

- Credentials that are checked for the first time or again, and those that are refused: that counts against limits, asks
  the store, costs Argon2, and is audited.
- Sessions that are not in memory: they are read from the store.
- Whatever policy does not allow, and upstreams that are down: pages, redirects and failover.
- Methods beyond those six, HTTP/1.0, absolute URLs, escapes, `;`, `//` and dots in the path, an empty query: they are
  rare, and their one reading is worked out in one place.
- Upgrade (WebSockets), TE, Trailer, Expect other than 100-continue, Destination and If (WebDAV), Connection options
  but `close`, a GET or HEAD with a body: what is said about one hop is not to be sent on unread.
- POST of text/plain: it could be the confirmation of a kept form. A Content-Length above `max_body`: 413.
- Our own pages; requests that are chosen to be traced; client certificates.
- Forward-auth questions whose answer is no, that name the original path twice, in another spelling (Authelia's Envoy
  writes `//`) or not at all (Vouch), or whose headers are longer than 4 KiB: there is nothing to remember, or no one
  reading.

## Method

- {result["date"]}; {machine["cpu"]}, {machine["cores"]} cores, Linux {machine["kernel"]}, Python {machine["python"]}.
  Mean load of the 15 minutes before the end: {machine["load_average"]:.1f}; the bench alone makes about 1.5. What
  is above that others caused: absolute rates are then too low and latencies too high; ratios suffer less.
- Each server has core 0 to itself among the servers; the load, the upstream nginx and the WebSocket upstream share
  core 1. Where a server is fast, core 1 is the limit, which flatters everything slower than nginx.
- {plan["rounds"]} rounds of {plan["seconds"]:g} s; each asks every server once, beginning with another one; medians.
- Load: wrk, one thread, keep-alive; 32 connections, 16 for 1 MiB, 1 for 100 MiB; for HTTP/2 h2load, 8 connections
  with 4 requests under way on each. wrk waits for an answer
  before it asks again, so its latencies are not used; `bench/paced.py` sends at a fixed rate and counts from when
  each request was due.
- "gateway" does its whole work: routing, session check of a signed-in cookie, header stripping and identity headers
  with a signed assertion, metrics, and a line of the access log for each request: the default configuration. nginx,
  HAProxy and Caddy only pass on; oauth2-proxy checks its encrypted session cookie. All write their request log too,
  each in its default form.
- Ways in: a request with an API token; one on a route where four rules by path are asked; the question that a proxy
  asks before it lets a request pass. Beside them nginx's plain request, and oauth2-proxy's `/oauth2/auth`.
- TLS: one EC certificate (P-256) for all, TLS 1.3. With new connections each request has its own handshake.
- "gateway, engine envoy" is the gateway with `server.engine: envoy`, all on core 0; "Envoy" is the same Envoy alone,
  with its own log of each request, which passes on and asks nobody.
- "nginx asks gateway" is `auth-gateway export nginx` with the gateway behind it, both on core 0.
- nginx: keep-alive to the upstream, unbuffered uploads, no temporary files.
- Authelia is not measured: it is no Go module that `go install` can build (its web front-end is built separately and
  embedded), and no package of this machine's distribution holds it.

## Versions
"""
    for name, version in result["versions"].items():
        yield f"- {name}: {version}"
