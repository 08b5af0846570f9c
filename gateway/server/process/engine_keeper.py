"""Keeps Envoy alive for the supervisor, from its start to its end, beside the workers."""

import logging
import math
import selectors
import signal

from gateway.config.schema import Config
from gateway.server.process.engine import LOOK_EVERY, Engine, EngineError
from gateway.server.process.generation import BACK_OFF, Generation
from gateway.server.process.sockets import Listeners

log = logging.getLogger("gateway.engine")
CERTIFICATE_EVERY = 1.0
"""Seconds between looks for a certificate that ACME got."""
ASK_EVERY = 2.0
"""Seconds between questions whether Envoy answers at all."""
HANGS_AFTER = 3
"""Questions in a row, each of two seconds at most, without an answer."""
END_TIMEOUT = 10.0
"""Seconds that Envoy may take to end once nobody asks it for anything."""


class EngineKeeper:
    """Starts, restarts and ends one `Engine`; `selector` waits for what it says. Times are the supervisor's clock."""

    def __init__(self, engine: Engine, selector: selectors.BaseSelector) -> None:
        self.engine, self._selector = engine, selector
        self._drain_end: float | None = None
        self._kill_at = math.inf
        self._ending = False
        self._ask_at, self._silent = 0.0, 0

    def begin(self, generation: Generation, now: float) -> None:
        """Start it in front of these workers. Raises EngineError, and OSError if its files can't be written."""
        self.turn_back(generation)
        self._start(now)

    def turn_to(self, config: Config) -> Listeners:
        """Tell it of a new configuration; returns what the workers who serve that are to read.

        Raises EngineError, ListenError and OSError.
        """
        self.engine.check(config)
        self.engine.apply(config)
        return self.engine.new_listeners()

    def turn_back(self, generation: Generation) -> None:
        """Tell it of the configuration and the workers of this generation. Raises OSError."""
        self.engine.point(generation.listeners.first)
        self.engine.apply(generation.config)

    def _start(self, now: float) -> None:
        self.engine.start(now)
        self._selector.register(self.engine, selectors.EVENT_READ, self)

    def _start_again(self, now: float) -> None:
        try:
            self._start(now)
        except EngineError as error:
            log.error("%s", error)
            self.engine.due = now + BACK_OFF[-1]

    def on_word(self, now: float) -> str:
        """Log what Envoy says. Returns how it ended if that was the end of it, else ""."""
        if self.engine.hear():
            return ""
        self._selector.unregister(self.engine)
        status, pause = self.engine.bury(now)
        if not self._ending:
            log.error("Envoy ended (%s); nobody is served until it is back, in %gs", status, pause)
        return status

    def next_look(self, now: float) -> float:
        """When `look` is to be asked again at the latest."""
        engine = self.engine
        if self._ending:
            return self._kill_at
        if engine.due is not None:
            return engine.due
        if self._drain_end is not None or not engine.current():
            return now + LOOK_EVERY
        return now + CERTIFICATE_EVERY if engine.follows_certificate else max(now, self._ask_at)

    def look(self, now: float) -> None:
        """Start it when that is due; kill it if it takes too long to serve, or to end; hand it a new certificate."""
        engine = self.engine
        try:
            engine.renew_certificate()
        except OSError as error:
            log.error("Envoy can't be given the new certificate: %s", error)
        if engine.due is not None and now >= engine.due and self._drain_end is None:
            self._start_again(now)
        elif (engine.late(now) and not engine.served) or (engine.alive and now >= self._kill_at):
            log.error("Envoy is killed: it took too long, or does not take its configuration")
            self._kill_at = math.inf
            engine.send(signal.SIGKILL)
        elif engine.alive and now >= self._ask_at and not self._ending:
            self._silent = 0 if engine.stats(r"^server\.live$") else self._silent + 1
            self._ask_at = now + ASK_EVERY
            if self._silent >= HANGS_AFTER:
                log.error("Envoy hangs and is killed: it has not answered %d questions", self._silent)
                self._silent = 0
                engine.send(signal.SIGKILL)

    def drain(self, now: float, seconds: float) -> None:
        """Let it finish what it does, for up to `seconds`."""
        self._drain_end = now + seconds
        self.engine.drain()

    def drained(self, now: float) -> bool:
        """Whether the workers may go: nothing is under way, or its time is up."""
        return self._drain_end is None or now >= self._drain_end or self.engine.idle()

    def end(self, now: float) -> None:
        """Ask it to end, once."""
        if not self._ending:
            self._ending, self._kill_at = True, now + END_TIMEOUT
            self.engine.send(signal.SIGTERM)

    def kill(self) -> None:
        self._ending = True
        self.engine.send(signal.SIGKILL)
