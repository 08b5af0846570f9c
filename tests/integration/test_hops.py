"""docs/architecture.md quotes how many files a request enters. It is fewer, or the page says more."""

import re
from pathlib import Path

from tests.hops import KINDS, counted

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "architecture.md").read_text(encoding="utf-8")


async def test_no_request_enters_more_files_than_the_page_says(tmp_path: Path) -> None:
    rows = re.findall(r"^\| ([\w -]+) \| (\d+) \| \d+ \| \d+ \| (\d+) \|$", PAGE, re.M)
    before = {name: int(count) for name, count, _ in rows}
    most = {name: int(count) for name, _, count in rows}
    assert before == KINDS
    # The background has rounds of seconds, which `make hops` waits for. What falls into a request by chance does not
    # fall into all of them.
    found = await counted(tmp_path, times=3, background=False)
    longer = {name: sorted(files) for name, files in found.items() if len(files) > most[name]}
    assert longer == {}
    assert all(len(files) > 10 for files in found.values()), "nothing was counted"
