"""What `check` says about accounts that people make, beside the mistakes in tests/data/bad_configs."""

import pytest

from gateway.config.loader import read_text

ROUTES = """
routes:
  - {host: staff.example.com, upstream: "http://127.0.0.1:9000", policy: {groups: [staff]}}
  - {name: wiki, host: wiki.example.com, upstream: "http://127.0.0.1:9000"}
  - {host: open.example.com, upstream: "http://127.0.0.1:9000", policy: {require: bypass}}
"""


def warnings(section: str) -> list[tuple[str, str]]:
    loaded = read_text(f"registration: {section}\n{ROUTES}", "config.yaml", {})
    return [(one.key, one.problem) for one in loaded.warnings if one.key.startswith("registration")]


def test_what_anybody_could_open_is_a_warning_that_names_it() -> None:
    [(key, problem)] = warnings("{mode: open}")
    assert key == "registration.mode"
    assert problem.endswith("asks for no group: wiki")


@pytest.mark.parametrize(
    "section", ["{}", "{mode: approval}", "{mode: open, domains: [example.com]}", "{mode: closed}"]
)
def test_nothing_is_said_where_somebody_decides_or_nobody_registers(section: str) -> None:
    assert warnings(section) == []
