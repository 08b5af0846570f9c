"""Tests that must not run beside each other stay in one process of xdist, and a shared set-up is made by one."""

from pathlib import Path
from typing import Any

import pytest

from tests.distribution import ROOT, scope_of

DOORS = "tests/security/test_one_corpus_all_doors.py"


@pytest.mark.parametrize(
    ("nodeid", "scope"),
    [
        ("tests/integration/test_workers.py::test_x", "processes"),
        ("tests/faults/test_log_reader.py::test_x[1]", "processes"),
        ("tests/integration/test_engine.py::test_x", "engine"),
        ("tests/integration/test_engine_protocols.py::test_x", "engine"),
        (f"{DOORS}::test_x[nginx]", "doors-nginx"),
        (f"{DOORS}::test_y[caddy-2.11]", "doors-caddy-2.11"),
        ("tests/integration/test_ldap_directory.py::test_x", "tests/integration/test_ldap_directory.py"),
        ("tests/unit/test_clock.py::test_x[a]", "tests/unit/test_clock.py::test_x[a]"),
    ],
)
def test_a_test_stays_with_what_it_shares(nodeid: str, scope: str) -> None:
    assert scope_of(nodeid) == scope


def test_each_mark_of_a_group_is_read() -> None:
    """As xdist would understand them, if it could see them."""
    marked = [
        str(path.relative_to(ROOT))
        for path in sorted((ROOT / "tests").rglob("test_*.py"))
        if "mark.xdist_group" in path.read_text() and path != Path(__file__)
    ]
    assert len(marked) > 10
    assert [file for file in marked if scope_of(f"{file}::test_x[a]").startswith("tests/")] == []


def test_a_run_is_distributed_so(pytestconfig: pytest.Config) -> None:
    class Options:
        def getoption(self, name: str) -> Any:
            return "loadgroup" if name == "dist" else None

        def getvalue(self, name: str) -> Any:
            return ["popen"] if name == "tx" else None

    make = pytestconfig.pluginmanager.hook.pytest_xdist_make_scheduler
    assert (
        make(config=Options(), log=None)._split_scope("tests/integration/test_workers.py::test_x")
        == "processes"
    )
