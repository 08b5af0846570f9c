"""docs/threat-model.md and SECURITY.md promise nothing that no test holds."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
_NAMED = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")


def named(page: str) -> list[tuple[str, str]]:
    return [(found[1], found[2] or "") for found in _NAMED.finditer((ROOT / page).read_text())]


@pytest.mark.parametrize("page", ["docs/threat-model.md", "docs/domains.md", "docs/adversary.md"])
def test_every_test_that_a_promise_names_exists(page: str) -> None:
    promised = named(page)
    assert promised
    for file, test in promised:
        text = (ROOT / file).read_text()
        assert not test or f"def {test}(" in text, f"{page}: {file} has no {test}"


def test_each_promise_has_a_test() -> None:
    text = (ROOT / "docs" / "threat-model.md").read_text()
    rows = text.partition("## Promises")[2].partition("\n## ")[0].splitlines()
    promises = [row for row in rows if row.startswith("| ") and not row.startswith("| promise")]
    assert len(promises) >= 15
    assert [row for row in promises if not _NAMED.search(row)] == []


def test_the_page_for_reports_leads_here() -> None:
    assert "docs/threat-model.md" in (ROOT / "SECURITY.md").read_text()
