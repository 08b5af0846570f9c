"""A store whose Python package is not installed: the mistake says what to install, and nothing else."""

import sys

import pytest

from gateway.errors import ConfigError
from gateway.stores.sql.engine import open_engine


def test_postgres_without_its_driver_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "asyncpg", None)
    with pytest.raises(ConfigError) as raised:
        open_engine("postgresql://gateway:secret@127.0.0.1:1/gateway")
    (mistake,) = raised.value.mistakes
    assert mistake.problem == "the PostgreSQL driver is missing"
    assert mistake.mend == 'pip install "auth-gateway[postgres]"'
