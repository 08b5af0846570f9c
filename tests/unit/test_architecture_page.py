"""docs/architecture.md against the tree: every package has a line, every module a row, and what is named exists."""

import re
from collections import Counter
from pathlib import Path

from tests.architecture_index import HEADING, first_sentence, modules

ROOT = Path(__file__).resolve().parents[2]
TEXT, _, INDEX = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8").partition(HEADING)


def test_every_package_has_its_line() -> None:
    cells = re.findall(r"^\| (`.*?) \| \S", TEXT.partition("## ")[0], re.M)
    named = {name for cell in cells for name in re.findall(r"`([a-z0-9]+)`", cell)}
    folders = {path.name for path in (ROOT / "gateway").iterdir() if path.is_dir() and any(path.iterdir())}
    assert named >= folders - {"__pycache__"}
    assert named <= folders


def test_every_module_is_in_the_index_once() -> None:
    named = Counter(re.findall(r"^\| `([\w/]+\.py)` \| \S", INDEX, re.M))
    assert named == Counter(modules()), "run `python -m tests.architecture_index`"


def test_every_file_that_is_named_exists() -> None:
    for name in re.findall(r"`([\w/.-]+/?\w+\.py)`", TEXT):
        assert (ROOT / name).exists() or list((ROOT / "gateway").rglob(name)), name


def test_a_row_of_the_index_is_the_first_sentence() -> None:
    assert first_sentence("Reads a.b|c (RFC 1 §2).\nThen more.\n\nAnd more.") == r"Reads a.b\|c (RFC 1 §2)"
