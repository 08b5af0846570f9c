"""Golden mistakes: each tests/data/bad_configs/NAME.yaml is reported exactly as NAME.expected says."""

from pathlib import Path

import pytest

from gateway.config.loader import read_text
from gateway.errors import ConfigError

BAD = Path(__file__).parents[2] / "data" / "bad_configs"
ENVIRON = {"WORD": "seen-by-nobody"}


def mistakes(name: str) -> str:
    file = BAD / f"{name}.yaml"
    with pytest.raises(ConfigError) as caught:
        read_text(file.read_text(), file.name, ENVIRON)
    return f"{caught.value}\n"


@pytest.mark.parametrize("name", sorted(file.stem for file in BAD.glob("*.yaml")))
def test_every_mistake_is_reported_with_its_line_and_mend(name: str) -> None:
    assert mistakes(name) == (BAD / f"{name}.expected").read_text()


@pytest.mark.parametrize("name", sorted(file.stem for file in BAD.glob("*.yaml")))
def test_no_report_shows_a_secret_or_speaks_of_pydantic(name: str) -> None:
    report = mistakes(name)
    assert "seen-by-nobody" not in report
    assert not any(word in report.lower() for word in ("input should", "pydantic", "validation", "regex"))
