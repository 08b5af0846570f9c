"""docs/passwords.md: each row of NIST's list names a test that exists."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "passwords.md").read_text(encoding="utf-8")


def test_every_row_names_a_test_that_exists() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| ") and not line.startswith("| it says")]
    assert len(rows) == 16
    for row in rows:
        found = re.search(r"`(tests/[\w/]+\.py)(?:::(\w+))?` \|$", row)
        assert found, row
        text = (ROOT / found[1]).read_text(encoding="utf-8")
        assert not found[2] or f"def {found[2]}(" in text, row
