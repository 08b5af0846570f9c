"""docs/troubleshooting.md has an entry for each error page, each warning and error in the log, and for the doctor."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from gateway.cli.doctor.symptoms import CHECKS, FAULTS
from gateway.portal.rendering.status_texts import wording

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
LOGGING = (ROOT / "docs" / "logging.md").read_text(encoding="utf-8")
LOUD = {"warning", "error", "exception", "critical"}
GAP = "…"
TEXTS = (ROOT / "gateway" / "portal" / "rendering" / "status_texts.py").read_text(encoding="utf-8")
STATUSES = [int(status) for status in re.findall(r"^    (\d{3}): Wording", TEXTS, re.M)]


def keys(heading: str) -> list[str]:
    """What stands between backticks in the first cells below a heading."""
    found = re.search(rf"^## {heading}.*?(?=^## |\Z)", PAGE, re.M | re.S)
    assert found, heading
    cells = re.findall(r"^\| (.+?) \|", found[0], re.M)
    return [key for cell in cells for key in re.findall(r"`([^`]+)`", cell)]


def covers(key: str, sentence: str) -> bool:
    """Whether a key is the beginning of a sentence, and not only a gap."""
    return sentence.startswith(key.removesuffix(GAP)) and key != GAP


def template(node: ast.expr) -> str | None:
    """The text of a constant or f-string, with a gap for what changes; None for anything else."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return re.sub(r"%[-.\d]*[a-z]", GAP, node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(template(part) or GAP for part in node.values)
    return None


def calls() -> Iterator[ast.Call]:
    for file in sorted((ROOT / "gateway").rglob("*.py")):
        yield from (
            node
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
            if isinstance(node, ast.Call)
        )


@cache
def logged() -> set[str]:
    """The lines of level warning and error; those without words of their own pass on what others say."""
    path = ROOT / "gateway" / "observability" / "log.py"  # the line about lost lines passes by no logger
    found = {
        template(node.value)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "message"
    }
    for call in calls():
        if isinstance(call.func, ast.Attribute) and call.args:
            of, name = ast.unparse(call.func.value), call.func.attr
            if name in LOUD and of.endswith(("log", "logger")):
                found.add(template(call.args[0]))
            if (
                name == "log" and len(call.args) > 1 and of.endswith(("log", "logger"))
            ):  # the level is worked out
                found.add(template(call.args[1]))
            if (of, name) == ("self", "_tell"):
                found.add(template(call.args[-1]))
    return {line for line in found if line and line != GAP}


@cache
def diagnosed() -> set[str]:
    """The problems that the doctor names."""
    found = {problem for problem, _ in (*CHECKS.values(), *FAULTS.values())}
    for file in ("symptoms.py", "outside.py"):
        path = ROOT / "gateway" / "cli" / "doctor" / file
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "problem":
                found.add(template(node.value) or "")
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "Symptom":
                found.add(template(node.args[1]) or "")
    return found - {""}


@pytest.mark.parametrize("line", sorted(logged()))
def test_a_line_of_the_log_has_its_entry(line: str) -> None:
    assert any(covers(key, line) for key in keys("Lines of level"))


@pytest.mark.parametrize("problem", sorted(diagnosed()))
def test_what_the_doctor_says_has_its_entry(problem: str) -> None:
    assert any(covers(key, problem) for key in keys("What the doctor"))


def test_no_entry_is_about_a_line_that_nobody_writes() -> None:
    assert [key for key in keys("Lines of level") if not any(covers(key, one) for one in logged())] == []
    assert [key for key in keys("What the doctor") if not any(covers(key, one) for one in diagnosed())] == []


def test_every_event_of_level_warning_has_its_entry() -> None:
    loud = re.findall(r"^\| `(\w+)` \| [^|]*`mend`[^|]* \|", LOGGING, re.M)
    assert len(loud) > 5
    assert sorted(keys("Events that ask")) == sorted(loud)


@pytest.mark.parametrize("status", STATUSES)
def test_an_error_page_has_its_entry(status: int) -> None:
    assert f"| {status} {wording(status).title} |" in PAGE
