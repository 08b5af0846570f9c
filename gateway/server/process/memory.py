"""Keeps a worker small: freed blocks go back to the system, and what all workers import is held once."""

import ctypes
import gc
import importlib
from collections.abc import Iterator
from contextlib import contextmanager

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # from glibc's malloc.h
_LARGE = 1024 * 1024
"""Above what a connection reads at once (256 KiB, and a little more for TLS): mapping a block for each read doubled the
processor time of a small request over TLS."""
_KEPT = 4 * _LARGE
"""Freed memory at the end of the heap that is kept: giving it back after each read of an upload is dear."""


def return_freed_blocks() -> None:
    """Blocks above 1 MiB are mapped one by one, so that each goes back to the system when it is freed.

    glibc raises its threshold after the first large block (mallopt(3), M_MMAP_THRESHOLD): the 19 MiB of one Argon2 hash
    would then stay in each thread's arena for good. Other C libraries do not need to be told, or can't be.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for option, value in ((_M_MMAP_THRESHOLD, _LARGE), (_M_TRIM_THRESHOLD, _KEPT), (_M_ARENA_MAX, 2)):
            mallopt(option, value)


@contextmanager
def collector_paused() -> Iterator[None]:
    """What is imported is kept: looking for garbage among it meanwhile costs a tenth of the start."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def preload(*modules: str) -> None:
    """Import before a fork, and let the collector leave the result alone, so that children share these pages."""
    with collector_paused():
        for module in modules:
            importlib.import_module(module)
    gc.collect()
    gc.freeze()
