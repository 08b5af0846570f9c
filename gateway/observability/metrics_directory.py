"""The folder through which workers share their metrics (prometheus_client's multiprocess mode)."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"


@contextmanager
def shared_metrics() -> Iterator[Path]:
    """A private folder, named in the environment before any worker imports prometheus_client."""
    folder = tempfile.mkdtemp(prefix="auth-gateway-metrics-")  # mode 0700
    os.environ[_VARIABLE] = folder
    try:
        yield Path(folder)
    finally:
        del os.environ[_VARIABLE]
        shutil.rmtree(folder, ignore_errors=True)


def forget_process(pid: int) -> None:
    """Drop a dead worker's live gauges (open connections ...). Its counters stay, else totals would fall."""
    folder = os.environ.get(_VARIABLE)
    if folder:
        for file in Path(folder).glob(f"gauge_live*_{pid}.db"):
            file.unlink(missing_ok=True)
