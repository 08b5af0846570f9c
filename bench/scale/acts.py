"""What is done to the gateway while somebody asks it steadily."""

import http.client
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from bench.scale.rows import HASH, Amounts

ADMIN = "/_auth/admin"
LONGEST = 60.0
"""Seconds after which an act is broken off; an export of ten million rows takes minutes."""


@dataclass(frozen=True, slots=True)
class Act:
    """Something with a name; `run` returns what is worth telling of it."""

    name: str
    run: Callable[[], str]


@dataclass(frozen=True, slots=True)
class Console:
    """Asks the console as an administrator who is signed in."""

    port: int
    cookie: str

    def pages(self, amounts: Amounts) -> Iterator[Act]:
        last = f"user{amounts.users - 1}"
        middle = f"user{amounts.users // 2}"
        for name, path in (
            ("stats page", ""),
            ("users, first page", "/users"),
            ("users, last page", f"/users?after={quote(middle)}"),
            ("users, search by name", f"/users?q={quote(last)}"),
            ("users, search by group", "/users?q=team7"),
            ("users, search for nobody", "/users?q=zzzz"),
            ("one user", f"/user?name={middle}"),
            ("sessions, first page", "/sessions"),
            ("sessions, page 1000", "/sessions?page=1000"),
            ("sessions of one user", f"/sessions?user={middle}"),
            ("audit, first page", "/audit"),
            ("audit of one user", f"/audit?user={middle}"),
            ("audit, one event", "/audit?event=login,logout"),
            ("audit, an old day", "/audit?until=1990-01-01"),
            ("audit, text that is there", "/audit?text=factors"),
            ("audit, text that is not", "/audit?text=zzzzz"),
            ("audit, address that is not", "/audit?ip=203.0.113.9"),
            ("changes", "/changes"),
            ("blocked", "/blocked"),
            ("routes", "/routes"),
            ("SMS", "/sms"),
            ("API: users, last page", f"/api/v1/users?limit=200&cursor={quote(middle)}"),
            ("API: sessions", "/api/v1/sessions?limit=200"),
            ("API: overview", "/api/v1/overview"),
        ):
            yield Act(name, lambda path=path: self.get(ADMIN + path))  # type: ignore[misc]
        yield Act("metrics", lambda: self.get("/_auth/metrics"))
        yield Act("export of users", lambda: self.get(f"{ADMIN}/users.yaml"))
        yield Act("export of the audit log, CSV", lambda: self.get(f"{ADMIN}/audit/export?format=csv"))
        yield Act("reset for an address nobody has", self.reset)

    def get(self, path: str) -> str:
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=LONGEST)
        begin = time.monotonic()
        client.request("GET", path, headers={"Cookie": self.cookie, "Accept": "text/html"})
        try:
            answer = client.getresponse()
        except TimeoutError:
            return f"no answer in {LONGEST:.0f} s"
        except (OSError, http.client.HTTPException) as error:
            return f"{type(error).__name__}: the worker was killed?"
        size = 0
        while data := answer.read1(1 << 20):
            size += len(data)
            if time.monotonic() - begin > LONGEST:
                client.close()
                return f"{size / 1e6:.0f} MB, then broken off"
        told = f"{size / 1e6:.1f} MB" if size > 1e6 else f"{size / 1e3:.0f} kB"
        return told if answer.status == 200 else f"status {answer.status}"

    def reset(self) -> str:
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=LONGEST)
        client.request("GET", "/_auth/reset", headers={"Accept": "text/html"})
        answer = client.getresponse()
        page, cookie = answer.read().decode(), answer.getheader("Set-Cookie", "").partition(";")[0]
        token = re.search(r'name="csrf_token" value="([^"]*)"', page)
        form = f"username=nobody%40example.org&csrf_token={quote(token[1] if token else '')}"
        headers = {
            "Cookie": cookie,
            "Accept": "text/html",
            "Origin": f"http://127.0.0.1:{self.port}",
            "Content-Type": "application/x-www-form-urlencoded",
        }
        client.request("POST", "/_auth/reset", form, headers)
        return f"status {client.getresponse().status}"


def importing(config: Path, count: int) -> Act:
    """`auth-gateway user import` of so many new users, from another process."""

    def run() -> str:
        file = config.with_name("new-users.csv")
        lines = ["username,name,email,password_hash,groups"]
        lines += (f"new{n},New {n},new{n}@example.com,{HASH},staff;team{n % 200}" for n in range(count))
        file.write_text("\n".join(lines))
        argv = [sys.executable, "-m", "bench.scale.watched"]
        argv += ["user", "import", str(file), "--config", str(config)]
        begin = time.monotonic()
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        rate = count / (time.monotonic() - begin)
        return f"{rate:.0f} users/s" if done.returncode == 0 else done.stderr[-300:]

    return Act(f"import of {count:,} users", run)


def worker_of(pid: int) -> int:
    """The worker's process id, below that of `serve`."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(children[0])


def resident_mib(pid: int, field: str = "VmRSS") -> float:
    """Memory of a process; "VmHWM" is the most it ever had since `forget_peak`."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(field):
                return int(line.split()[1]) / 1024
    return 0.0


def forget_peak(pid: int) -> None:
    """Set VmHWM back to what there is now (proc(5), clear_refs)."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")
