"""The parent of the workers, without any."""

import logging
from collections.abc import Iterator

import pytest

from gateway.config.schema import Config
from gateway.observability.log import OutputHandler
from gateway.observability.log_output import RETRY, LogOutput
from gateway.server.process.config_source import ConfigSource
from gateway.server.process.listener_set import ListenerSet
from gateway.server.process.supervisor import Supervisor


class BusySink:
    """Takes nothing while `busy`, as a pipe in which a worker is writing or that nobody reads."""

    chunk = 4096

    def __init__(self) -> None:
        self.busy, self.taken = True, b""

    def send(self, data: bytes) -> int:
        if self.busy:
            return 0
        self.taken += data
        return len(data)

    def wait(self, seconds: float) -> None: ...

    def close(self) -> None: ...


@pytest.fixture
def sink() -> Iterator[BusySink]:
    root, sink = logging.getLogger(), BusySink()
    before = root.handlers[:]
    root.handlers[:] = [OutputHandler(LogOutput(sink, lambda count: b""))]
    yield sink
    root.handlers[:] = before


def test_a_line_that_could_not_be_written_does_not_wait_for_the_next_one(sink: BusySink) -> None:
    """ "reload done" stayed in the parent until the reload after it, where a worker was writing at that moment."""
    supervisor = Supervisor(
        Config(),
        ListenerSet([]),
        source=ConfigSource(Config(), Config),
        on_ready=lambda: None,
        clock=lambda: 1_000.0,
    )
    assert supervisor._patience() is None, "it waits for nothing"
    logging.getLogger("gateway.workers").error("reload done")
    assert sink.taken == b""
    assert supervisor._patience() == pytest.approx(RETRY)
    sink.busy = False
    assert supervisor._patience() is None
    assert sink.taken == b"reload done\n"
