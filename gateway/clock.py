"""Time comes in through a Clock, so that tests move it by hand."""

import time
from collections.abc import Callable

Clock = Callable[[], float]
"""Returns the current time as Unix seconds."""

system_clock: Clock = time.time
