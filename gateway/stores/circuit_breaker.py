"""A circuit breaker: while a server is away, callers hear so at once instead of queueing for time-outs.

Closed, all calls go through. After a failure it opens: calls are refused until a pause is over, then one call is
let through as a probe, whose outcome closes the circuit or doubles the pause. It is for one event loop.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from gateway.clock import Clock
from gateway.errors import StoreBusy, StoreUnavailable

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 2.0
"""Seconds. The longest pause bounds how late a gateway notices that the server is back."""


class Circuit:
    """Stops asking what does not answer, for a while. `name` is what is away, for the log; `clock` must not jump, so
    give it time.monotonic.
    """

    def __init__(self, name: str, clock: Clock, *, failures: int = 2) -> None:
        self._name, self._clock, self._allowed = name, clock, failures
        self._failed = 0
        self._pause = FIRST_PAUSE
        self._again_at = float("-inf")
        self._probing = False
        self._answers = 0

    @contextmanager
    def call(self) -> Iterator[None]:
        """Around one call. Raises StoreUnavailable without making it while the circuit is open.

        Only StoreUnavailable counts as a failure: any other outcome, also an error, shows that the server answers.
        A call that was cancelled tells nothing, and no more does one that got no connection (StoreBusy) while others
        were answered: a crowd is no outage.
        """
        probe, answers = self._enter(), self._answers
        try:
            yield
        except StoreBusy:
            if self._answers == answers:
                self._failure()
            raise
        except StoreUnavailable:
            self._failure()
            raise
        except Exception:
            self._success()
            raise
        else:
            self._success()
        finally:
            if probe:
                self._probing = False

    def _enter(self) -> bool:
        """Whether this call is the probe of an open circuit."""
        if self._failed < self._allowed:
            return False
        if self._probing or self._clock() < self._again_at:
            raise StoreUnavailable(f"{self._name} is away; it will be tried again in a moment")
        self._probing = True
        return True

    def _success(self) -> None:
        self._failed, self._pause = 0, FIRST_PAUSE
        self._answers += 1

    def _failure(self) -> None:
        self._failed += 1
        if self._failed >= self._allowed and self._clock() >= self._again_at:
            self._again_at = self._clock() + self._pause
            self._pause = min(self._pause * 2, LONGEST_PAUSE)
