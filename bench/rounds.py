"""The measurements themselves: each round asks every server once, so that a busy machine slows all alike."""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

import uvloop

from bench import gateways, load, paced, peers, sockets
from bench.figures import medians, percentile
from bench.lab import Lab, LeftOut, Server
from bench.processes import NotStarted, cpu_seconds, memory_kib, worker_kib

Say = Callable[[str], None]
Figures = dict[str, float]


@dataclass(frozen=True, slots=True)
class Plan:
    rounds: int
    seconds: float
    """Of one wrk run."""
    paced_seconds: float
    rate: float
    """Requests a second where latency is measured."""
    sockets: int
    """Idle WebSockets."""
    logins: int


QUICK = Plan(rounds=1, seconds=1, paced_seconds=1, rate=300, sockets=200, logins=3)
FULL = Plan(rounds=5, seconds=3, paced_seconds=4, rate=500, sockets=600, logins=20)

CONNECTIONS = {"small": 32, "medium": 32, "large": 16, "upload": 16}
FAST, REFERENCE = "gateway", "gateway, fast path off"


def start_servers(lab: Lab, say: Say) -> tuple[list[Server], dict[str, str]]:
    """All that can be had, signed in and checked; and why the others are left out."""
    starters: dict[str, Callable[[], Sequence[Server]]] = {
        "nginx": lambda: [peers.plain_nginx(lab)],
        "HAProxy": lambda: [peers.haproxy(lab)],
        "Caddy": lambda: [peers.caddy(lab)],
        "oauth2-proxy": lambda: [peers.oauth2_proxy(lab)],
    }
    if gateways.has_fast_path():
        starters[FAST] = partial(start_gateway, lab, FAST, fast_path=True)
        starters[REFERENCE] = partial(start_gateway, lab, REFERENCE, fast_path=False)
    else:
        starters[REFERENCE] = partial(start_gateway, lab, REFERENCE)
    starters["nginx asks gateway"] = lambda: uvloop.run(gateways.forward_auth(lab))
    servers: list[Server] = []
    left_out: dict[str, str] = {}
    for name, starter in starters.items():
        say(f"start {name}")
        try:
            started = starter()
            load.check(started[0])
            servers += started
        except (LeftOut, NotStarted, load.WrongAnswer, RuntimeError, OSError) as error:
            left_out[name] = str(error)
            say(f"left out: {name}: {error}")
    return servers, left_out


def start_gateway(lab: Lab, name: str, **server: Any) -> list[Server]:
    return [uvloop.run(gateways.signed_in(lab, gateways.start(lab, name, **server)))]


def measure_throughput(lab: Lab, servers: Sequence[Server], plan: Plan, say: Say) -> dict[str, list[Figures]]:
    """Kind of load -> a mapping of server to requests a second for each round."""
    script = load.upload_script(lab.folder)
    results: dict[str, list[Figures]] = {kind: [] for kind in CONNECTIONS}
    for number in range(plan.rounds):
        say(f"throughput, round {number + 1} of {plan.rounds}")
        for kind, connections in CONNECTIONS.items():
            figures: Figures = {}
            for server in rotated(servers, number):
                path, lua = ("/sink", script) if kind == "upload" else (f"/{kind}", None)
                done = load.wrk(server, path, seconds=plan.seconds, connections=connections, script=lua)
                if done.failed:
                    say(f"{server.name}, {kind}: {done.failed} requests failed")
                figures[server.name] = done.rate
            results[kind].append(figures)
    return results


def rotated(servers: Sequence[Server], number: int) -> list[Server]:
    """Another one begins each round: nobody always follows the same neighbour."""
    at = number % len(servers)
    return [*servers[at:], *servers[:at]]


def measure_latency(servers: Sequence[Server], plan: Plan, say: Say) -> dict[str, list[Figures]]:
    """p50 and p99 in milliseconds, and failures."""
    results: dict[str, list[Figures]] = {"p50": [], "p99": [], "failed": []}
    for number in range(plan.rounds):
        say(f"latency at {plan.rate:g} requests/s, round {number + 1} of {plan.rounds}")
        one: dict[str, Figures] = {key: {} for key in results}
        for server in rotated(servers, number):
            latencies, failed = paced.measure(server.port, server.headers, plan.rate, plan.paced_seconds)
            one["p50"][server.name] = percentile(latencies, 50) * 1000
            one["p99"][server.name] = percentile(latencies, 99) * 1000
            one["failed"][server.name] = failed
        for key, figures in one.items():
            results[key].append(figures)
    return results


def measure_sockets(servers: Sequence[Server], plan: Plan, say: Say) -> dict[str, Figures]:
    """Echoes a second, and KiB that one idle WebSocket costs its server."""
    results: dict[str, Figures] = {"echo": {}, "idle_kib": {}}
    echoes: list[Figures] = []
    for number in range(plan.rounds):
        say(f"WebSocket echo, round {number + 1} of {plan.rounds}")
        echoes.append({s.name: uvloop.run(echo(s, plan.seconds)) for s in rotated(servers, number)})
    results["echo"] = medians(echoes)
    for server in servers:
        say(f"{plan.sockets} idle WebSockets: {server.name}")
        results["idle_kib"][server.name] = uvloop.run(idle_kib(server, plan.sockets))
    return results


async def echo(server: Server, seconds: float) -> float:
    return await sockets.echo_rate(server.port, server.headers, count=32, seconds=seconds)


async def idle_kib(server: Server, count: int) -> float:
    """The first sockets are opened before the first weighing: what all share is not charged to them."""
    async with sockets.opened(server.port, server.headers, 20):
        await asyncio.sleep(1)
        before = memory_kib(server.pid)
        async with sockets.opened(server.port, server.headers, count):
            await asyncio.sleep(1)
            return (memory_kib(server.pid) - before) / count


def measure_scaling(lab: Lab, plan: Plan, say: Say) -> dict[str, Figures]:
    """nginx and the gateway with 1 and 2 workers on both cores, which they share with load and upstream.

    So the rate can't double; what shows contention between workers is the processor time of a request (`…_us`).
    """
    results: dict[str, Figures] = {}
    for count in (1, 2):
        say(f"scaling, {count} workers")
        name, cores = f"scaling-{count}", "0,1"
        nginx = peers.plain_nginx(lab, f"nginx-{name}", count, cores)
        gateway = uvloop.run(gateways.signed_in(lab, gateways.start(lab, name, cores, workers=count)))
        with ExitStack() as stack:
            for server in (nginx, gateway):
                stack.callback(lab.processes.stop, server.pid)
            rounds = [
                {**_with_cpu("nginx", nginx, plan), **_with_cpu("gateway", gateway, plan)}
                for _ in range(plan.rounds)
            ]
            results[str(count)] = medians(rounds)
            if count > 1:
                results[str(count)]["worker_mib"] = worker_kib(gateway.pid) / 1024
                results[str(count)]["all_mib"] = memory_kib(gateway.pid) / 1024
    return results


def _with_cpu(label: str, server: Server, plan: Plan) -> Figures:
    before = cpu_seconds(server.pid)
    rate = load.wrk(server, "/small", seconds=plan.seconds, connections=32).rate
    used = cpu_seconds(server.pid) - before
    return {label: rate, f"{label}_us": used / (rate * plan.seconds) * 1e6}


def measure_logins(lab: Lab, servers: Sequence[Server], plan: Plan) -> Figures:
    found = [server for server in servers if server.name in (FAST, REFERENCE)]
    return {s.name: uvloop.run(gateways.login_rate(lab, s, plan.logins)) for s in found}


def measure_asking(server: Server, plan: Plan) -> float:
    """Answers a second of the forward-auth endpoint itself, which nginx asks when its cache knows nothing."""
    rates: list[Figures] = []
    for _ in range(plan.rounds):
        done = load.wrk(server, "/_auth/forward?route=*/", seconds=plan.seconds, connections=32)
        rates.append({"": done.rate - done.failed / plan.seconds})
    return medians(rates)[""]


def settle() -> None:
    time.sleep(1)
