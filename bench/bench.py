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
BASE = "nginx"


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
    started, left_out = rounds.start_servers(lab, say)
    rounds.settle()
    fresh = {server.name: memory_kib(server.pid) / 1024 for server in started}
    asked = [server for server in started if "X-Original-URL" in server.headers]
    servers = [server for server in started if server not in asked]
    throughput = rounds.measure_throughput(lab, servers, plan, say)
    latency = rounds.measure_latency(servers, plan, say)
    sockets = rounds.measure_sockets([s for s in servers if s.websockets], plan, say)
    for server in servers:
        load.check(server)  # still signed in: what was measured was no page of refusal
    return {
        **describe(started, left_out, plan),
        "throughput": {kind: medians(one) for kind, one in throughput.items()},
        "ratios": {kind: ratios(one, BASE) for kind, one in throughput.items()},
        "latency_ms": {key: medians(one) for key, one in latency.items()},
        "memory_mib": {
            "fresh": fresh,
            "after_load": {s.name: memory_kib(s.pid) / 1024 for s in started},
        },
        "websockets": sockets,
        "logins_per_second": rounds.measure_logins(lab, servers, plan),
        "forward_auth_answers": rounds.measure_asking(asked[0], plan) if asked else None,
        "scaling": rounds.measure_scaling(lab, plan, say),
        "rounds": throughput,
    }


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
        "versions": {server.name: server.version for server in servers} | {"wrk": load.wrk_version()},
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
