"""Each case runs in a process of its own: what malloc was told can't be taken back."""

import subprocess
import sys
from pathlib import Path

import pytest

MEASURE = """
import ctypes, gc, re, sys, threading
from pathlib import Path
from gateway.server.process.memory import preload, return_freed_blocks

def resident():  # MiB
    return int(re.search(r"VmRSS:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024

def hash_like_argon2():
    from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
    Argon2id(salt=b"s" * 16, length=32, iterations=1, lanes=1, memory_cost=19 * 1024).derive(b"secret")

def after_hashing():
    hash_like_argon2()  # the first block is mapped and returned in any case; glibc raises its threshold then
    before = resident()
    threads = [threading.Thread(target=hash_like_argon2) for _ in range(3)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    return resident() - before
"""


def run(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", MEASURE + code],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        cwd=Path(__file__).parents[3],
    )
    return done.stdout.strip()


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_the_memory_of_a_password_hash_is_given_back() -> None:
    assert float(run("return_freed_blocks(); print(after_hashing())")) < 10


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_without_it_the_memory_would_stay() -> None:
    """The twin of the test above, where the C library is glibc."""
    assert run("print(hasattr(ctypes.CDLL(None), 'mallopt') and after_hashing() < 10)") == "False"


def test_what_is_imported_before_a_fork_is_left_alone_by_the_collector() -> None:
    assert run(
        "preload('gateway.model'); print(gc.get_freeze_count() > 0, 'gateway.model' in sys.modules)"
    ) == ("True True")


FAULTS = """
import resource
def faults(size):  # pages of the system that 200 blocks of this size cost, one after the other
    bytearray(size)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(200): bytearray(size)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
@pytest.mark.parametrize("size", [256 * 1024 + 33, 900 * 1024])
def test_blocks_as_large_as_a_read_are_not_mapped_anew_each_time(size: int) -> None:
    """A TLS connection reads into 256 KiB, and a little more is what the allocator is asked for."""
    assert int(run(f"{FAULTS}\nreturn_freed_blocks(); print(faults({size}))")) < 1000


def test_the_collector_rests_while_modules_are_imported_and_works_after_that() -> None:
    code = """
import builtins
during, load = [], builtins.__import__
def watched(name, *rest):
    during.append(gc.isenabled()) if name.startswith('gateway.policy') else None
    return load(name, *rest)
builtins.__import__ = watched
preload('gateway.policy.explain')
try: preload('gateway.policy.nothing')
except ModuleNotFoundError: pass
print(any(during), bool(during), gc.isenabled())
"""
    assert run(code) == "False True True"
