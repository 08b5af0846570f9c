"""Settings for all tests."""

import pytest
from hypothesis import settings

from gateway.i18n.compile import compile_catalogues

# Never assert a time: on a busy machine an example may take as long as it likes.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

# The gateway reads compiled catalogues; whoever has edited one and runs a test means the edited one.
compile_catalogues(only_stale=True)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--run-long", action="store_true", help="run tests that take minutes, too (make faults)")
