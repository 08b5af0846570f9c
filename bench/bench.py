"""`make bench`: measures the gateway beside other proxies and writes JSON, docs/performance.md and its plot.

Everything listens on loopback, lives in a temporary folder and is ended by pid, also after Ctrl-C.
"""

import argparse
import datetime
import json
import os
import platform
import resource
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench import gateways, load, report, rounds
from bench.figures import medians, ratios
from bench.lab import LOAD_CORE, Lab, Server, open_lab
from bench.processes import Processes, memory_kib

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    arguments = parse_arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    prepare()
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        processes = Processes(Path(name))
        try:
            result = run(open_lab(Path(name), processes), rounds.QUICK if arguments.quick else rounds.FULL)
        except KeyboardInterrupt:
            sys.exit(130)
        finally:
            processes.stop_all()
    keep(result, arguments.quick)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short round; docs/ stay as they are")
    return parser.parse_args()


def prepare() -> None:
    """This process, and what it starts unless told otherwise, stays on the load's core."""
    if (os.cpu_count() or 1) < 2:
        sys.exit("make bench: needs two cores, one for the server and one for the load")
    os.sched_setaffinity(0, {int(LOAD_CORE)})
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    os.environ["PYTHONPATH"] = str(ROOT)


def say(line: str) -> None:
    print(f"bench: {line}", file=sys.stderr, flush=True)


def run(lab: Lab, plan: rounds.Plan) -> dict[str, Any]:
    started, left_out = rounds.plain_servers(lab, say)
    servers = [server for server in started if server.pages]
    throughput = rounds.measure_throughput(lab, started, plan, say)
    latency = rounds.measure_latency(servers, plan, say)
    sockets = rounds.measure_sockets(servers, plan, say)
    logins = rounds.measure_logins(lab, servers, plan)
    for server in started:
        load.check(server)  # still signed in: what was measured was no page of refusal
    loaded = {server.name: memory_kib(server.pid) / 1024 for server in started}
    start_seconds = {server.name: lab.processes.start_seconds[server.pid] for server in started}
    fresh = {server.name: lab.processes.start_kib[server.pid] / 1024 for server in started}
    stop(lab, started)
    secure, left_out_of_tls = rounds.tls_servers(lab, say)
    over_tls = rounds.measure_throughput(lab, secure, plan, say)
    stop(lab, secure)
    rates, costs = ({**throughput[of], **over_tls[of]} for of in ("rate", "cpu_us"))
    return {
        **describe([*started, *secure], left_out | left_out_of_tls, plan),
        "throughput": {kind: medians(one) for kind, one in rates.items()},
        "ratios": {kind: ratios(one, rounds.NGINX) for kind, one in rates.items()},
        "envoy_ratios": {kind: ratios(one, rounds.ENVOY) for kind, one in over_tls["rate"].items()},
        "cpu_us": {kind: medians(one) for kind, one in costs.items()},
        "cpu_ratios": {kind: ratios(one, rounds.NGINX) for kind, one in costs.items()},
        "latency_ms": {key: medians(one) for key, one in latency.items()},
        "start": {"seconds": start_seconds, "mib": fresh, "mib_after_load": loaded},
        "websockets": sockets,
        "logins": logins,
        "scaling": rounds.measure_scaling(lab, plan, say),
        "rounds": rates,
    }


def stop(lab: Lab, servers: list[Server]) -> None:
    for server in servers:
        lab.processes.stop(server.pid)


def describe(servers: list[Server], left_out: dict[str, str], plan: rounds.Plan) -> dict[str, Any]:
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="minutes"),
        "machine": {
            "cpu": cpu_model(),
            "cores": os.cpu_count(),
            "kernel": platform.release(),
            "python": platform.python_version(),
            "load_average": os.getloadavg()[2],
        },
        "plan": {field: getattr(plan, field) for field in plan.__slots__},
        "versions": {server.name: server.version for server in servers}
        | {"wrk": load.wrk_version(), "h2load": load.h2load_version()},
        "left_out": left_out,
        "argon2": gateways.argon2(),
    }


def cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def keep(result: dict[str, Any], quick: bool) -> None:
    folder = ROOT / "bench-results"
    folder.mkdir(exist_ok=True)
    (folder / "latest.json").write_text(json.dumps(result, indent=2))
    text = report.markdown(result)
    if not quick:
        (ROOT / "docs/performance.md").write_text(text)
        (ROOT / "docs/performance.svg").write_text(report.plot(result))
    print(text)


if __name__ == "__main__":
    main()
