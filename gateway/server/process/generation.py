"""The workers of one configuration, and who reads the socket of one that is gone.

Each worker has a listening socket of its own. The parent holds all of them open, so connections to a worker that died
wait in its socket's queue; until that worker serves again, a living one reads the queue for it.
"""

import logging
import os
from dataclasses import dataclass, field

from gateway.config.schema import Config
from gateway.observability.metrics_directory import count_lost
from gateway.server.process.fork import Worker
from gateway.server.process.listener_set import ListenerSet

log = logging.getLogger("gateway.workers")

BACK_OFF = (0.1, 0.5, 1.0, 2.0, 5.0)
"""Pause in seconds before the first, second ... restart in a row."""
HEALTHY_AFTER = 30.0
"""Seconds: a worker that lived this long starts the back-off anew."""


def worker_count(config: Config) -> int:
    """How many workers the configuration asks for; `auto` is one for each core."""
    workers = config.server.workers
    return max(1, os.cpu_count() or 1) if workers == "auto" else max(1, workers)


@dataclass(eq=False)
class Generation:
    """The workers of one configuration, by their number.

    Args:
        config: what they serve.
        listeners: whose sockets they share.
        workers: those that live.
        due: when a dead worker's place is filled again, on the supervisor's clock.
        failures: how often a worker of this number ended in a row.
        stand_ins: who reads the sockets of a number whose own worker does not serve.
    """

    config: Config
    listeners: ListenerSet
    workers: dict[int, Worker] = field(default_factory=dict)
    due: dict[int, float] = field(default_factory=dict)
    failures: dict[int, int] = field(default_factory=dict)
    stand_ins: dict[int, Worker] = field(default_factory=dict)

    @property
    def count(self) -> int:
        return worker_count(self.config)

    @property
    def serving(self) -> bool:
        return len(self.workers) == self.count and all(w.ready for w in self.workers.values())

    def lost(self, worker: Worker, now: float) -> float:
        """Note that a worker ended and let others read its sockets; returns the pause in seconds before its restart."""
        number = worker.number
        count_lost("ended")
        del self.workers[number]
        failures = 0 if now - worker.started > HEALTHY_AFTER else self.failures.get(number, 0)
        pause = BACK_OFF[min(failures, len(BACK_OFF) - 1)]
        self.failures[number] = failures + 1
        self.due[number] = now + pause
        orphaned = [one for one, reader in self.stand_ins.items() if reader is worker]
        for one in (number, *orphaned):
            self.stand_ins.pop(one, None)
            self._lend(one)
        return pause

    def came_up(self, worker: Worker) -> None:
        """A worker serves: it reads its own sockets again, and those that nobody else could read so far."""
        reader = self.stand_ins.pop(worker.number, None)
        if reader is not None:
            reader.leave(worker.number)
        for number in range(self.count):
            if number not in self.workers and number not in self.stand_ins:
                self._lend(number)

    def _lend(self, number: int) -> None:
        """Let the living worker that stands in for the fewest others read the sockets of `number`."""
        if not self.listeners.alone(number, self.count):
            return  # only sockets which all of them read anyway
        readers = list(self.stand_ins.values())
        serving = [worker for worker in self.workers.values() if worker.ready]
        for reader in sorted(serving, key=readers.count):
            if reader.take(number, self.listeners.alone(number, self.count)):
                self.stand_ins[number] = reader
                log.warning("worker %d reads the connections of worker %d meanwhile", reader.number, number)
                return
        log.error("nobody reads the connections of worker %d until it serves again", number)
