"""Settings for all tests."""

import gc
import os
from collections.abc import Iterator
from typing import Any

import jinja2
import pytest
from hypothesis import HealthCheck, settings
from jinja2.bccache import Bucket, BytecodeCache

from gateway.i18n.compile import compile_catalogues
from gateway.portal import health
from gateway.stores.redis import connection
from gateway.stores.sql import engine
from tests import loopback
from tests.distribution import scheduler
from tests.shuffling import shuffled

# Never assert a time: on a busy machine an example may take as long as it likes.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
# CI makes up the same examples each time: a new one that fails is found by people and by `make fuzz`.
settings.register_profile("repeatable", settings.get_profile("patient"), derandomize=True, database=None)
settings.load_profile("repeatable" if os.environ.get("CI") else "patient")

# A store on the same busy machine may take longer to answer than one that is away is waited for.
connection.CONNECT_SECONDS = connection.ANSWER_SECONDS = engine.CONNECT_SECONDS = health.PATIENCE = 30

# All that is collected is kept: looking for garbage among it costs a quarter of the collection, and time in every test.
gc.disable()

# The gateway reads compiled catalogues; whoever has edited one and runs a test means the edited one.
compile_catalogues(only_stale=True)


class CompiledTemplates(BytecodeCache):
    """Each gateway compiles the templates that it shows; hundreds of them in one process need not do so again."""

    def __init__(self) -> None:
        self._codes: dict[tuple[str, str], Any] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        bucket.code = self._codes.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._codes[bucket.key, bucket.checksum] = bucket.code


_compiled: dict[str, CompiledTemplates] = {}
_environment = jinja2.Environment.__init__


def _environment_with_cache(self: jinja2.Environment, *values: Any, **options: Any) -> None:
    if values or "bytecode_cache" in options:
        _environment(self, *values, **options)
        return
    # Compiled code depends on the options. Bound methods and loaders are other ones in each gateway.
    known = {name: value for name, value in options.items() if name not in {"loader", "finalize"}}
    language = getattr(getattr(options.get("finalize"), "__self__", None), "tag", "")
    _environment(
        self, bytecode_cache=_compiled.setdefault(f"{language} {known}", CompiledTemplates()), **options
    )


jinja2.Environment.__init__ = _environment_with_cache  # type: ignore[method-assign]

loopback.watch()


@pytest.fixture(autouse=True)
def nobody_beyond_this_machine_is_asked() -> Iterator[None]:
    """Said at the end of the test: what tried may have taken the refusal for an outage."""
    loopback.beyond.clear()
    yield
    assert not loopback.beyond


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--run-long", action="store_true", help="run tests that take minutes, too (make faults)")
    parser.addoption(
        "--shuffle", type=int, metavar="SEED", help="run files, and the tests in each, in another order"
    )


@pytest.hookimpl(tryfirst=True)  # pytest then puts together again what shares one costly set-up
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    seed = config.getoption("--shuffle")
    if seed is not None:
        items[:] = shuffled(items, lambda item: str(item.path), seed)


def pytest_collection_finish() -> None:
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 10, 10)  # a test makes many objects, and few that are garbage to the collector
    gc.enable()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    return scheduler()(config, log) if config.getoption("dist") == "loadgroup" else None
