"""docs/architecture.md quotes how many files a request enters. It is fewer, or the page says more."""

import re
import subprocess
import sys
from pathlib import Path

from tests.hops import KINDS

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")


def test_no_request_enters_more_files_than_the_page_says() -> None:
    rows = re.findall(r"^\| ([\w -]+) \| (\d+) \| \d+ \| \d+ \| (\d+) \|$", PAGE, re.M)
    before = {name: int(count) for name, count, _ in rows}
    most = {name: int(count) for name, _, count in rows}
    assert before == KINDS
    # In a process of its own: log handlers that other tests leave behind are entered, too. The background has rounds of
    # seconds, which `make hops` waits for.
    command = [sys.executable, "-m", "tests.hops", "-v", "--alone"]
    said = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    found = {name: int(count) for count, name in re.findall(r"^ *(\d+)  ([\w -]+) \(\d+ before", said, re.M)}
    assert found.keys() == KINDS.keys(), said
    assert {name: count for name, count in found.items() if count > most[name]} == {}, said
    assert all(count > 10 for count in found.values()), "nothing was counted"
