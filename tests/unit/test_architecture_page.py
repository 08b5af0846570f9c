"""docs/architecture.md against the tree: what it names is there, and every package has its line."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")


def test_every_package_has_its_line() -> None:
    cells = re.findall(r"^\| (`.*?) \| \S", PAGE.partition("## ")[0], re.M)
    named = {name for cell in cells for name in re.findall(r"`([a-z0-9]+)`", cell)}
    folders = {path.name for path in (ROOT / "gateway").iterdir() if path.is_dir() and any(path.iterdir())}
    assert named >= folders - {"__pycache__"}
    assert named <= folders


def test_every_file_that_is_named_exists() -> None:
    for name in re.findall(r"`([\w/.-]+/?\w+\.py)`", PAGE):
        assert (ROOT / name).exists() or list((ROOT / "gateway").rglob(name)), name
