"""Counts the files below gateway/ that one request enters: how far a reader has to hop. `make hops` prints it.

A whole gateway runs in this process (tests/rig.py) under a profiler that sees every thread. Each kind of request is
made several times, and a file counts that is entered each time, during the request or in the second after it. So the
background work that follows every request is counted (audit rows, changes heard from other workers, sums of metrics);
what fills a cache once is not, nor a round that comes by now and then (sweeps, health checks).

docs/architecture.md quotes the counts, and those without background work, which tests/integration/test_hops.py holds.
"""

import argparse
import asyncio
import sys
import tempfile
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import CodeType, FrameType

from tests.rig import PASSWORD, Browser, Rig, running_gateway

GATEWAY = Path(__file__).resolve().parents[1] / "gateway"
BACKGROUND = 1.2
"""Seconds after a request whose background work is counted: the slowest round that every request feeds takes one."""
SETTLE = 1.1
"""Seconds in which the background work of what came before ends. Each turn waits longer than the one before, so that
rounds of five seconds don't fall on the same request each time, however fast the machine is."""
TIMES = 5

KINDS = {"POST login": 50, "page that sends a code": 76, "proxied GET": 37, "forward-auth question": 27}
"""What is counted -> the count at 0b733c8, before the packages of today, by this script."""

CONFIG = {
    "server": {"trusted_proxies": ["127.0.0.1"], "fast_path": False},
    "routes": [{"host": "*", "path": "/", "upstream": "UPSTREAM"}],
}


class Profiler:
    """Notes the code that runs, in all threads that start after `start`, while `counting`."""

    def __init__(self) -> None:
        self.counting = False
        self._codes: set[CodeType] = set()

    def start(self) -> None:
        threading.setprofile(self._event)
        sys.setprofile(self._event)

    def stop(self) -> None:
        sys.setprofile(None)
        threading.setprofile(None)

    def _event(self, frame: FrameType, event: str, _: object) -> None:
        if self.counting and event == "call":
            self._codes.add(frame.f_code)

    @asynccontextmanager
    async def files(self, found: set[str], wait: float) -> AsyncIterator[None]:
        """Put into `found` the files below gateway/ that are entered inside the block and `wait` seconds after it."""
        self._codes.clear()
        self.counting = True
        yield
        await asyncio.sleep(wait)
        self.counting = False
        paths = {Path(code.co_filename) for code in set(self._codes)}
        found |= {str(path.relative_to(GATEWAY)) for path in paths if path.is_relative_to(GATEWAY)}


async def to_login(browser: Browser) -> dict[str, str]:
    return {
        "username": "alice",
        "password": PASSWORD,
        "csrf_token": await browser.token("/_auth/login"),
        "rd": "/",
    }


async def measure(
    rig: Rig, profiler: Profiler, *, times: int = TIMES, background: bool = True
) -> dict[str, set[str]]:
    """Kind of request -> the files that it enters each of so many `times`, with the `background` work or without."""
    wait, settle = (BACKGROUND, SETTLE) if background else (0.0, 0.0)
    found: list[dict[str, set[str]]] = []
    question = {"X-Forwarded-Method": "GET", "X-Forwarded-Proto": "http", "X-Forwarded-Uri": "/page"}
    question["X-Forwarded-Host"] = rig.url.removeprefix("http://")
    await rig.add_user()
    for turn in range(times):
        found.append({name: set() for name in KINDS})
        login, code, proxied, forward = found[-1].values()
        rig.clock.advance(120)  # past the pause between two codes
        async with rig.browser() as browser:
            form = await to_login(browser)
            await asyncio.sleep(settle and settle + turn)
            async with profiler.files(login, wait):
                assert (await browser.post("/_auth/login", form)).status == 303
            async with profiler.files(code, wait):
                assert (await browser.get("/_auth/verify?rd=/")).status == 200
            assert (await browser.code()).status == 303
            assert (await browser.get("/page")).status == 200
            await asyncio.sleep(settle)
            async with profiler.files(proxied, wait):
                assert (await browser.get("/page")).status == 200
            async with profiler.files(forward, wait):
                assert (await browser.get("/_auth/forward", **question)).status == 200
    return {name: set.intersection(*(each[name] for each in found)) for name in KINDS}


async def counted(folder: Path, *, times: int = TIMES, background: bool = True) -> dict[str, set[str]]:
    """`measure` a gateway that runs in `folder`."""
    profiler = Profiler()
    profiler.start()
    try:
        async with running_gateway(folder, **CONFIG) as rig:
            return await measure(rig, profiler, times=times, background=background)
    finally:
        profiler.stop()


async def main(*, listed: bool, background: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        found = await counted(Path(folder), background=background)
    for name, files in found.items():
        print(f"{len(files):4}  {name} ({KINDS[name]} before the packages of today)")
        for file in sorted(files) if listed else ():
            print(f"        {file}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-v", action="store_true", help="list the files")
    parser.add_argument("--alone", action="store_true", help="leave out the background work")
    chosen = parser.parse_args()
    asyncio.run(main(listed=chosen.v, background=not chosen.alone))
