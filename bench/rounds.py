"""The measurements themselves: each round asks every server once, so that a busy machine slows all alike."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import uvloop

from bench import gateways, load, paced, peers, sockets
from bench.figures import medians, percentile
from bench.kinds import KINDS, Kind
from bench.lab import Lab, LeftOut, Server
from bench.processes import NotStarted, cpu_seconds, memory_kib, worker_kib

Say = Callable[[str], None]
Figures = dict[str, float]
"""Name of a server -> what was measured."""
Throughput = dict[str, dict[str, list[Figures]]]
"""`rate` or `cpu_us` -> kind of request -> the figures of each round."""


@dataclass(frozen=True, slots=True)
class Plan:
    rounds: int
    seconds: float
    """Of one run of the load."""
    paced_seconds: float
    rate: float
    """Requests a second where latency is measured."""
    sockets: int
    """Idle WebSockets."""
    logins: int


QUICK = Plan(rounds=1, seconds=1, paced_seconds=1, rate=300, sockets=200, logins=3)
FULL = Plan(rounds=3, seconds=2, paced_seconds=4, rate=500, sockets=600, logins=20)

FAST, REFERENCE = "gateway", "gateway, fast path off"
ENGINE = "gateway, engine envoy"
NGINX, OAUTH2_PROXY, ENVOY = "nginx", "oauth2-proxy", "Envoy"


def plain_servers(lab: Lab, say: Say) -> tuple[list[Server], dict[str, str]]:
    """All that can be had, signed in and checked; and why the others are left out."""
    return _start_all(
        {
            NGINX: lambda: [peers.plain_nginx(lab)],
            "HAProxy": lambda: [peers.haproxy(lab)],
            "Caddy": lambda: [peers.caddy(lab)],
            OAUTH2_PROXY: lambda: [peers.oauth2_proxy(lab)],
            FAST: partial(start_gateway, lab, FAST),
            REFERENCE: partial(start_gateway, lab, REFERENCE, fast_path=False),
            "nginx asks gateway": lambda: uvloop.run(gateways.forward_auth(lab)),
        },
        say,
    )


def tls_servers(lab: Lab, say: Say) -> tuple[list[Server], dict[str, str]]:
    """The same with a certificate of their own, and the gateway with Envoy in front beside an Envoy alone."""
    servers, left_out = _start_all(
        {
            "nginx, TLS": lambda: [replace(peers.plain_nginx(lab, "nginx-tls", tls=True), name=NGINX)],
            "Caddy, TLS": lambda: [peers.caddy(lab, tls=True)],
            "oauth2-proxy, TLS": lambda: [peers.oauth2_proxy(lab, tls=True)],
            "Envoy, TLS": lambda: [peers.envoy(lab)],
            "gateway, TLS": lambda: [replace(start_gateway(lab, "gateway, TLS", tls=True)[0], name=FAST)],
            ENGINE: partial(start_gateway, lab, ENGINE, tls=True, engine="envoy"),
        },
        say,
    )
    if not load.h2load_version():
        left_out["HTTP/2"] = "h2load is not on the PATH"
        servers = [replace(server, http2=False) for server in servers]
    return servers, left_out


def _start_all(
    starters: Mapping[str, Callable[[], Sequence[Server]]], say: Say
) -> tuple[list[Server], dict[str, str]]:
    servers: list[Server] = []
    left_out: dict[str, str] = {}
    for name, starter in starters.items():
        say(f"start {name}")
        try:
            started = starter()
            for server in started:
                load.check(server)
            servers += started
        except (LeftOut, NotStarted, load.WrongAnswer, RuntimeError, OSError) as error:
            left_out[name] = str(error)
            say(f"left out: {name}: {error}")
    return servers, left_out


def start_gateway(lab: Lab, name: str, *, tls: bool = False, **server: Any) -> list[Server]:
    return [uvloop.run(gateways.signed_in(lab, gateways.start(lab, name, tls=tls, **server)))]


def measure_throughput(lab: Lab, servers: Sequence[Server], plan: Plan, say: Say) -> Throughput:
    """Requests a second and CPU microseconds of one request: of each kind and round, for each server that takes it."""
    results: Throughput = {"rate": {}, "cpu_us": {}}
    for number in range(plan.rounds):
        say(f"throughput, round {number + 1} of {plan.rounds}")
        for name, kind in KINDS.items():
            rates: Figures = {}
            costs: Figures = {}
            for server in [s for s in rotated(servers, number) if s.way(kind)]:
                rates[server.name], costs[server.name] = rate_and_cost(lab, server, kind, plan, say)
            if rates:
                results["rate"].setdefault(name, []).append(rates)
                results["cpu_us"].setdefault(name, []).append(costs)
    return results


def rate_and_cost(lab: Lab, server: Server, kind: Kind, plan: Plan, say: Say) -> tuple[float, float]:
    lab.processes.empty_logs()
    before = cpu_seconds(server.pid)
    done = load.run(server, kind, seconds=plan.seconds, folder=lab.folder)
    used = cpu_seconds(server.pid) - before
    if done.failed:
        say(f"{server.name}, {kind.label}: {done.failed} requests failed")
    return done.rate, used / max(1, done.count) * 1e6


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
                {
                    label + unit: figure
                    for label, server in ((NGINX, nginx), (FAST, gateway))
                    for unit, figure in zip(
                        ("", "_us"), rate_and_cost(lab, server, KINDS["small"], plan, say), strict=True
                    )
                }
                for _ in range(plan.rounds)
            ]
            results[str(count)] = medians(rounds)
            if count > 1:
                results[str(count)]["worker_mib"] = worker_kib(gateway.pid) / 1024
                results[str(count)]["all_mib"] = memory_kib(gateway.pid) / 1024
    return results


def measure_logins(lab: Lab, servers: Sequence[Server], plan: Plan) -> Figures:
    """Of the gateway: sign-ins a second, CPU milliseconds of one, and of the Argon2id in it."""
    lab.processes.empty_logs()
    server = next(server for server in servers if server.name == FAST)
    cost = uvloop.run(gateways.login_cost(lab, server, plan.logins))
    return {**cost, "argon2_ms": gateways.argon2_cpu_ms()}
