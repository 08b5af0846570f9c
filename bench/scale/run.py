"""`make scale`: fills a database and measures how long an ordinary request waits while big work is done beside it.

ARGS="--users 100000 --sessions 1000000 --audit 10000000 --databases sqlite postgresql". All of it listens on loopback,
lives in a temporary folder and is ended by pid. "app alone" is the same question put straight to the app: how
long this machine itself kept somebody waiting meanwhile. "loop busy" is what the worker computed at most between two
looks of its event loop (its thread, and all threads of the process): it does not depend on what else the machine does.
"transaction" is the longest that was open and what was computed in it: SQLite has one writer, who must wait for that
much of another's; what PostgreSQL computes is not told. **late** is what took too long by itself, on any machine.
"""

import argparse
import asyncio
import contextlib
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from bench import gateways
from bench.lab import Lab, open_lab
from bench.processes import Processes, free_port
from bench.scale.acts import Act, Console, forget_peak, importing, resident_mib, worker_of
from bench.scale.rows import KEPT_DAYS, Amounts, fill
from bench.scale.steady import Steady, asking
from bench.scale.watched import FILE, STORE, Longest, longest

ROOT = Path(__file__).resolve().parents[2]
ALLOWED = 0.1
"""Seconds that no ordinary request may wait longer than."""
QUIET = 5.0
"""Seconds of doing nothing, to know the machine by."""


@dataclass(frozen=True, slots=True)
class Line:
    """One act and what it cost others: seconds, and MiB that the worker grew by at its highest."""

    act: str
    took: float
    told: str
    longest: float
    usual: float
    noise: float
    grown: float
    busy: Longest
    open: Longest

    @property
    def is_late(self) -> bool:
        """Whether others waited too long for what was done here, whatever the machine did besides."""
        return max(self.busy.first, self.open.second) > ALLOWED


def main() -> None:
    parser = argparse.ArgumentParser(prog="make scale", description=__doc__)
    parser.add_argument("--users", type=int, default=100_000)
    parser.add_argument("--sessions", type=int, default=1_000_000)
    parser.add_argument("--audit", type=int, default=10_000_000, help="rows of the audit log")
    parser.add_argument("--imported", type=int, default=20_000, help="users that are imported beside it")
    parser.add_argument("--databases", nargs="+", default=["sqlite", "postgresql"])
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    os.environ["PYTHONPATH"] = str(ROOT)
    asked_nice = os.nice(0)
    be(0)  # under `nice`, only the filling is: a gateway that waits for its turn would measure the neighbours
    amounts = Amounts(asked.users, asked.sessions, asked.audit)
    for kind in asked.databases:
        with tempfile.TemporaryDirectory(prefix="scale-") as name, database(kind, Path(name)) as url:
            processes = Processes(Path(name))
            try:
                lines = measure(open_lab(Path(name), processes), url, amounts, asked.imported, asked_nice)
            finally:
                processes.stop_all()
        print(table(kind, amounts, lines), flush=True)


@contextlib.contextmanager
def database(kind: str, folder: Path) -> Iterator[str]:
    if kind == "sqlite":
        yield f"sqlite:///{folder}/scale.db"
        return
    from tests.services import create_database, postgres_server

    with postgres_server() as server:
        yield create_database(server, "scale")


def be(nice: int) -> None:
    """Go on with this niceness, as far as we may."""
    with contextlib.suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, nice)


def measure(lab: Lab, url: str, amounts: Amounts, imported: int, nice: int) -> list[Line]:
    port = free_port()
    config = configure(lab, url, port)
    gateways.add_user(config)
    gateways.command(config, "user", "set", gateways.USER, "--group", "admins")
    first = [sys.executable, "-m", "gateway", "serve", "--config", str(config)]
    lab.processes.stop(lab.processes.start("first", first, cores="0,1", port=port))  # makes the key ring
    be(nice)
    say(f"filled in {fill(url, amounts):.0f} s")
    be(0)
    return [*sweeps(lab, config, port), *console(lab, config, port, amounts, imported)]


def configure(lab: Lab, url: str, port: int) -> Path:
    values = gateways.configuration(lab, "scale", port, port, tls=False)
    values["storage"] = {"url": url}
    values["log"] = {"access": False, "level": "debug", "audit_kept": f"{KEPT_DAYS}d"}
    values["admin"] = {"max_age": "8h"}
    return lab.write("scale.yaml", yaml.safe_dump(values))


def sweeps(lab: Lab, config: Path, port: int) -> Iterator[Line]:
    """The first sweep after the start, kind by kind, as the log tells when each was done."""
    with served(lab, config, port, "bench.scale.sweeping", "sweeping") as (pid, cookie):
        worker, log = worker_of(pid), lab.processes.log_of("sweeping")
        with both(lab, port, cookie, "sweep") as clients:
            before, begin = resident_mib(worker), time.monotonic()
            forget_peak(worker)
            for what in ("sessions", "audit rows"):
                end, told = swept(log, what)
                grown = resident_mib(worker, "VmHWM") - before
                yield line(f"sweep of {what}", begin, end, told, clients, grown)
                begin = end


def swept(log: Path, what: str) -> tuple[float, str]:
    """When the log said so, on the monotonic clock, and how many."""
    while True:
        for one in log.read_text(errors="replace").splitlines():
            if f" {what} swept" in one:
                said = json.loads(one)
                at = time.strptime(said["ts"][:19], "%Y-%m-%dT%H:%M:%S")
                ago = time.time() - (time.mktime(at) - time.timezone + float(said["ts"][19:23]))
                return time.monotonic() - ago, f"{int(said['message'].split()[0]):,} rows"
        time.sleep(0.1)


def console(lab: Lab, config: Path, port: int, amounts: Amounts, imported: int) -> Iterator[Line]:
    with (
        served(lab, config, port, "bench.scale.watched", "serving") as (pid, cookie),
        both(lab, port, cookie, "c") as both_,
    ):
        worker = worker_of(pid)
        quiet = Act("nothing", lambda: time.sleep(QUIET) or "")  # type: ignore[func-returns-value]
        for act in (quiet, *Console(port, cookie).pages(amounts), importing(config, imported)):
            before, begin = resident_mib(worker), time.monotonic()
            forget_peak(worker)
            told = act.run()
            end = time.monotonic()
            time.sleep(0.3)  # an answer under way is noted when it is there
            grown = resident_mib(worker, "VmHWM") - before
            yield line(act.name, begin, end, told, both_, grown)


@contextlib.contextmanager
def served(lab: Lab, config: Path, port: int, module: str, name: str) -> Iterator[tuple[int, str]]:
    """The gateway's process id, and the cookie of an administrator."""
    os.environ[FILE] = str(lab.folder / f"{name}-loop")
    argv = [sys.executable, "-m", module, "serve", "--config", str(config)]
    pid = lab.processes.start(name, argv, cores="0,1", port=port)
    cookie = asyncio.run(gateways.sign_in(f"http://127.0.0.1:{port}", lab.processes.log_of(name)))
    try:
        yield pid, cookie
    finally:
        lab.processes.stop(pid)


@contextlib.contextmanager
def both(lab: Lab, port: int, cookie: str, name: str) -> Iterator[tuple[Steady, Steady]]:
    """Clients of the gateway and of the app itself."""
    with (
        asking(port, "/small", cookie, lab.folder / f"{name}-gateway") as through,
        asking(lab.origin, "/small", "", lab.folder / f"{name}-app") as past,
    ):
        yield through, past


def line(act: str, begin: float, end: float, told: str, clients: tuple[Steady, Steady], grown: float) -> Line:
    through, past = (client.between(begin, end) for client in clients)
    noted = os.environ[FILE]
    done = Line(
        act=act,
        took=end - begin,
        told=told,
        longest=through[-1] if through else 0.0,
        usual=through[len(through) // 2] if through else 0.0,
        noise=past[-1] if past else 0.0,
        grown=grown,
        busy=longest(Path(noted), begin, end),
        open=longest(Path(noted + STORE), begin, end),
    )
    say(row(done))
    return done


def table(kind: str, amounts: Amounts, lines: Sequence[Line]) -> str:
    head = f"{kind}: {amounts.users:,} users, {amounts.sessions:,} sessions, {amounts.audit:,} audit rows"
    rows = [
        "| act | took | | longest wait | median | app alone | loop busy (process) | transaction (computing) | memory |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    return "\n".join((f"\n{head} (load average {os.getloadavg()[0]:.1f})\n", *rows, *map(row, lines)))


def row(one: Line) -> str:
    """A line of the table."""
    return (
        f"| {one.act} | {one.took:.2f} s | {one.told} | {one.longest * 1000:.0f} ms{' **late**' if one.is_late else ''}"
        f" | {one.usual * 1000:.1f} ms | {one.noise * 1000:.0f} ms"
        f" | {one.busy.first * 1000:.0f} ({one.busy.second * 1000:.0f}) ms"
        f" | {one.open.first * 1000:.0f} ({one.open.second * 1000:.0f}) ms | +{one.grown:.0f} MiB |"
    )


def say(text: str) -> None:
    print(f"scale: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
