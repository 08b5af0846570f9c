"""The parent process: forks workers, restarts those that die, rolls them on SIGHUP, drains them on SIGTERM.

It runs no event loop and no thread, so that forking is safe; `memory.preload` has imported what workers share.
A reload starts a whole new generation first and lets the old one drain only when the new one serves.
"""

import logging
import math
import selectors
import signal
import socket
import time
from collections.abc import Callable, Iterator

from gateway.clock import Clock
from gateway.config.schema import Config
from gateway.errors import ConfigError
from gateway.observability.log import retry as retry_log
from gateway.observability.metrics_directory import count_lost, forget_process
from gateway.server.process import systemd
from gateway.server.process.config_source import ConfigSource, refuse_reload
from gateway.server.process.engine import Engine, EngineError
from gateway.server.process.engine_keeper import EngineKeeper
from gateway.server.process.fork import Worker, fork_worker
from gateway.server.process.generation import Generation
from gateway.server.process.listener_set import ListenerSet
from gateway.server.process.signals import Signals
from gateway.server.process.sockets import ListenError
from gateway.server.process.watchdog import Watchdog
from gateway.server.process.worker import run_worker
from gateway.server.tls.context import shared_context

log = logging.getLogger("gateway.workers")

START_TIMEOUT = 60.0
"""A worker that does not serve by then is killed."""
KILL_GRACE = 5.0
"""How much longer than drain_timeout a leaving worker may live."""


class Supervisor:
    """Starts workers, watches them and starts them anew, and `engine`, if any. `source` is where a reload has its
    configuration from; `on_ready` is called once, when all workers serve.
    """

    def __init__(
        self,
        config: Config,
        listeners: ListenerSet,
        *,
        source: ConfigSource,
        on_ready: Callable[[], None],
        clock: Clock = time.monotonic,
        engine: Engine | None = None,
    ) -> None:
        self._source = source
        self._tell_ready = on_ready
        self._clock = clock
        self._current = Generation(config, listeners)
        self._next: Generation | None = None
        self._leaving: set[Worker] = set()
        self._announced = False
        self._stopping = False
        self._status = 0
        self._reload_wanted = False
        self._selector = selectors.DefaultSelector()
        self._watchdog = Watchdog()
        self._keeper = EngineKeeper(engine, self._selector) if engine is not None else None

    def run(self) -> int:
        """Serve until stopped; returns the exit status."""
        with Signals(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
            self._selector.register(signals, selectors.EVENT_READ)
            if self._keeper is not None:
                self._keeper.begin(self._current, self._clock())
            self._fill(self._current)
            while not self._over:
                for key, _ in self._selector.select(self._patience()):
                    if isinstance(key.data, Worker):
                        self._on_word_from(key.data)
                    elif isinstance(key.data, EngineKeeper):
                        self._on_word_from_engine(key.data)
                    else:
                        self._on_signals(signals.take())
                self._do_what_is_due()
        return self._status

    @property
    def _over(self) -> bool:
        if not self._stopping or self._leaving or self._current.workers:
            return False
        return self._keeper is None or not self._keeper.engine.alive

    def _on_signals(self, numbers: list[int]) -> None:
        for number in numbers:
            if number == signal.SIGHUP:
                self._reload_wanted = True
            elif self._stopping:
                log.warning("stopping at once")
                for worker in self._alive():
                    worker.send(signal.SIGKILL)
                if self._keeper is not None:
                    self._keeper.kill()
            else:
                log.info("stopping: running requests have %gs", self._current.config.server.drain_timeout)
                self._stop()

    def _on_word_from(self, worker: Worker) -> None:
        served = worker.ready
        if not worker.hear(self._clock()):
            self._on_exit(worker, self._bury(worker))
        elif worker.ready and not served and worker not in self._leaving:
            worker.deadline = math.inf
            self._on_ready(worker)

    def _on_ready(self, worker: Worker) -> None:
        if self._current.workers.get(worker.number) is worker:
            self._current.came_up(worker)
        self._settle()

    def _settle(self) -> None:
        """Go on where all that was waited for serves."""
        if self._keeper is not None and not self._keeper.engine.current():
            return
        if self._next is not None and self._next.serving:
            if self._keeper is None or not self._keeper.engine.point(self._next.listeners.first):
                self._promote(self._next)
        elif self._next is None and self._current.serving and not self._announced:
            self._announced = True
            self._tell_ready()
            systemd.notify("READY=1")

    def _on_exit(self, worker: Worker, status: str) -> None:
        if worker in self._leaving:
            self._leaving.remove(worker)
        elif self._next is not None and self._next.workers.get(worker.number) is worker:
            log.error(
                "reload given up: new worker %d ended (%s); the old configuration stays",
                worker.number,
                status,
            )
            del self._next.workers[worker.number]
            self._abandon_next()
            systemd.notify("READY=1")
        else:
            self._on_loss(worker, status)

    def _on_loss(self, worker: Worker, status: str) -> None:
        if not self._announced:
            # Nothing served yet: this will not mend itself, and the operator is still watching.
            del self._current.workers[worker.number]
            self._status = 1
            self._stop()
            return
        pause = self._current.lost(worker, self._clock())
        log.error("worker %d (pid %d) ended (%s); restart in %gs", worker.number, worker.pid, status, pause)

    def _patience(self) -> float | None:
        now = self._clock()
        moments = [one.deadline for one in self._alive()] + [*self._current.due.values(), now + retry_log()]
        if self._keeper is not None:
            moments.append(self._keeper.next_look(now))
        soonest = min(*moments, self._watchdog.next_look(self._current.workers.values(), now))
        return None if math.isinf(soonest) else max(0.0, soonest - now)

    def _do_what_is_due(self) -> None:
        now = self._clock()
        for worker in self._alive():
            if now >= worker.deadline:
                log.error("worker %d (pid %d) is killed: it took too long", worker.number, worker.pid)
                worker.deadline = math.inf
                worker.send(signal.SIGKILL)
        for worker in self._watchdog.hanging(list(self._current.workers.values()), now):
            log.error("worker %d (pid %d) hangs and is killed", worker.number, worker.pid)
            count_lost("hung")
            worker.ready = False
            worker.send(signal.SIGKILL)
        for number in [n for n, moment in self._current.due.items() if now >= moment]:
            del self._current.due[number]
            self._fork(self._current, number)
        self._reload_wanted |= self._source.changed(now)
        if self._reload_wanted and self._next is None and not self._stopping and self._announced:
            self._reload_wanted = False
            self._reload()
        if self._keeper is not None:
            self._look_after(self._keeper, now)

    def _on_word_from_engine(self, keeper: EngineKeeper) -> None:
        if keeper.on_word(self._clock()) and not self._announced and not self._stopping:
            self._status = 1  # as with workers: this will not mend itself
            self._stop()

    def _look_after(self, keeper: EngineKeeper, now: float) -> None:
        """Envoy serves before we say that we do, and drains before the workers, which it still asks."""
        keeper.look(now)
        if not self._stopping:
            if self._next is not None and keeper.engine.late(now):
                why = keeper.engine.last_words or "it says nothing"
                log.error(
                    "reload given up: Envoy did not take in the new configuration (%s); the old one stays",
                    why,
                )
                self._abandon_next()
                systemd.notify("READY=1")
            self._settle()
        elif self._current.workers and keeper.drained(now):
            self._dismiss(self._current)
        elif not self._current.workers and not self._leaving:
            keeper.end(now)

    def _alive(self) -> Iterator[Worker]:
        yield from list(self._leaving)
        for generation in (self._current, self._next):
            if generation is not None:
                yield from list(generation.workers.values())

    def _reload(self) -> None:
        """Start a generation with the new configuration, if that is valid and its address can be had."""
        systemd.reloading()
        try:
            config = self._source.read()
            shared_context(config.server.tls)
            before = self._current.listeners
            if self._keeper is not None:
                own = [self._keeper.turn_to(config)]
                listeners = ListenerSet.of(config.server.plain, before, own)
            else:
                listeners = ListenerSet.of(config.server.listens, before)
            self._next = Generation(config, listeners)
            self._fill(self._next)
        except (ConfigError, ListenError, EngineError, OSError) as error:
            refuse_reload(error)
            self._abandon_next()
            systemd.notify("READY=1")
        else:
            log.info("reload: %d new workers start", self._next.count)

    def _promote(self, candidate: Generation) -> None:
        old, self._current, self._next = self._current, candidate, None
        self._dismiss(old)
        old.listeners.close(but=candidate.listeners)
        log.info("reload done: %d workers serve the new configuration", candidate.count)
        systemd.notify("READY=1")

    def _abandon_next(self) -> None:
        candidate, self._next = self._next, None
        if candidate is not None:
            if self._keeper is not None:
                self._keeper.turn_back(self._current)
            self._dismiss(candidate)
            candidate.listeners.close(but=self._current.listeners)

    def _stop(self) -> None:
        self._stopping = True
        systemd.notify("STOPPING=1")
        self._abandon_next()
        if self._keeper is not None and self._keeper.engine.alive:
            self._keeper.drain(self._clock(), self._current.config.server.drain_timeout)
            return
        self._dismiss(self._current)
        self._current.listeners.close()

    def _dismiss(self, generation: Generation) -> None:
        """Let all workers of a generation finish what they do and exit."""
        for worker in generation.workers.values():
            worker.send(signal.SIGTERM)
            worker.deadline = self._clock() + generation.config.server.drain_timeout + KILL_GRACE
        self._leaving.update(generation.workers.values())
        generation.workers.clear()
        generation.stand_ins.clear()
        generation.due.clear()

    def _fill(self, generation: Generation) -> None:
        generation.listeners.grow(generation.count)
        for number in range(generation.count):
            self._fork(generation, number)

    def _fork(self, generation: Generation, number: int) -> None:
        siblings = list(self._alive())

        def life(channel: socket.socket) -> int:
            self._selector.close()
            for sibling in siblings:
                sibling.channel.close()  # else the sibling would not notice the parent's death
            sockets = generation.listeners.share(number, generation.count)
            others = [one.listeners for one in (self._current, self._next) if one is not None]
            generation.listeners.keep_only(sockets, others)
            return run_worker(generation.config, sockets, channel, number)

        worker = fork_worker(number, life, now=self._clock())
        worker.deadline = worker.started + START_TIMEOUT
        generation.workers[number] = worker
        self._selector.register(worker.channel, selectors.EVENT_READ, worker)

    def _bury(self, worker: Worker) -> str:
        self._selector.unregister(worker.channel)
        status = worker.wait()
        forget_process(worker.pid)
        return status
