"""What several files of these tests look at."""

import io
import logging
from collections.abc import Iterator

import pytest

from gateway.config.schema import Log
from gateway.observability import log as gateway_log


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """What is logged meanwhile."""
    before, stream = logging.getLogger().handlers[:], io.StringIO()
    gateway_log.configure(Log(), stream)
    yield stream
    logging.getLogger().handlers[:] = before
