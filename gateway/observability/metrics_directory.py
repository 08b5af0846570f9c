"""The folder through which workers share their metrics (prometheus_client's multiprocess mode).

Its parent process removes it at the end. A parent that was killed can't: the next start removes what nobody uses any
more. A lock on a file in it says who does; parent and workers hold it, and the kernel lets go of it when all are gone.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
_PREFIX, _LOCK = "auth-gateway-metrics-", "in-use"


@contextmanager
def shared_metrics() -> Iterator[Path]:
    """A private folder, named in the environment before any worker imports prometheus_client."""
    _remove_unused()
    folder, lock = _new_folder()
    os.environ[_VARIABLE] = str(folder)
    try:
        yield folder
    finally:
        del os.environ[_VARIABLE]
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def forget_process(pid: int) -> None:
    """Drop a dead worker's live gauges (open connections ...). Its counters stay, else totals would fall."""
    folder = os.environ.get(_VARIABLE)
    if folder:
        for file in Path(folder).glob(f"gauge_live*_{pid}.db"):
            file.unlink(missing_ok=True)


def count_lost(how: str) -> None:
    """Count a worker that its parent has lost: "ended", and before that "hung" if it had to be killed for that."""
    from gateway.observability import (
        metrics,
    )  # chooses its storage when it is imported, which is after `shared_metrics`

    metrics.workers_lost.labels(how).inc()


def _new_folder() -> tuple[Path, int]:
    """A folder, and the descriptor that holds its lock."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX))  # mode 0700
        lock = os.open(folder / _LOCK, os.O_CREAT | os.O_RDWR, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (folder / _LOCK).exists():
            return folder, lock
        os.close(lock)  # another start took it for unused, a moment before it was locked


def _remove_unused() -> None:
    """Only what is ours and was locked once: folders of older versions may be in use without a lock."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with suppress(OSError):  # in use, not ours, or gone by now
            _remove_if_unused(folder)


def _remove_if_unused(folder: Path) -> None:
    if folder.is_symlink() or folder.lstat().st_uid != os.getuid():
        return
    lock = os.open(folder / _LOCK, os.O_RDWR | os.O_NOFOLLOW)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(lock)
