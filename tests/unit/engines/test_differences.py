"""The table of meant differences: it is whole, and the documentation prints it."""

from pathlib import Path

from tests.doors.compare import meant
from tests.doors.run import INSIDE
from tests.integration.engines import ENGINES

PAGE = Path(__file__).parents[3] / "docs" / "forward-auth.md"
BEGIN, END = "<!-- differences -->", "<!-- end of differences -->"


def as_table() -> str:
    rows = ["| engine | kind of request | what differs from our proxy | why |", "|---|---|---|---|"]
    for row in meant():
        kinds = ", ".join(row.kinds).replace("*", "any" if row.kinds == ("*",) else "…")
        what = "`" + row.what.replace("|", "\\|") + "`" if row.what != "*" else "status, headers"
        rows.append(f"| {', '.join(row.engines)} | {kinds} | {what} | {row.reason} |")
    return "\n".join(rows)


def test_every_row_names_engines_and_a_reason() -> None:
    for row in meant():
        assert set(row.engines) <= {*ENGINES, INSIDE}, row
        assert len(row.reason) > 20, row


def test_the_page_prints_the_table() -> None:
    text = PAGE.read_text()
    assert text.partition(BEGIN)[2].partition(END)[0].strip() == as_table()
