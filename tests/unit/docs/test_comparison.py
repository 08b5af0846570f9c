"""docs/comparison.md against the tests: a yes of ours counts only as long as the tests that it names are there."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "comparison.md").read_text(encoding="utf-8")
PEERS = 13
NOTE = re.compile(r"^\[\^([\w-]+)\]: (.+)$", re.M)
TEST = re.compile(r"\[([\w/]+\.py)::(test_\w+)\]\(\.\./tests/([\w/]+\.py)\)")


def rows() -> list[list[str]]:
    """The cells of each feature: its name, ours, then the peers'."""
    lines = re.findall(r"^\| (?!Feature \|)(.+) \|$", PAGE, re.M)
    return [[cell.strip() for cell in line.split(" | ")] for line in lines]


def notes() -> dict[str, str]:
    return dict(NOTE.findall(PAGE))


def referred(text: str) -> list[str]:
    return re.findall(r"\[\^([\w-]+)\](?!:)", text)


@cache
def names_in(file: str) -> frozenset[str]:
    """Names of the tests in a file, read and not imported."""
    path = ROOT / "tests" / file
    tree = ast.parse(path.read_text(encoding="utf-8")) if path.is_file() else ast.Module([], [])
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return frozenset(node.name for node in functions if node.name.startswith("test_"))


@pytest.mark.parametrize("label", notes())
def test_every_test_that_is_named_exists(label: str) -> None:
    text = notes()[label]
    named = TEST.findall(text)
    assert TEST.sub("", text).strip(", ") == "", "a note holds links to tests and nothing else"
    assert named
    for file, name, link in named:
        assert file == link
        assert name in names_in(file), f"{file} has no {name}"


def test_each_yes_names_its_tests_and_what_is_partial_says_what_is_missing() -> None:
    for feature, ours, *_ in rows():
        verdict = re.match(r"\*\*([YPN–])\*\*(.*)", ours)
        assert verdict, f"{feature}: {ours}"
        if verdict[1] == "Y":
            assert referred(ours), f"{feature}: no test is named"
        if verdict[1] == "P":
            assert re.sub(r"\[\^.*?\]", "", verdict[2]).strip(), f"{feature}: what is missing?"


def test_every_row_is_there_with_a_cell_for_each_peer() -> None:
    found = re.search(r"<!-- Every row.*?\n(.*)\n-->", PAGE, re.S)
    assert found
    assert [cells[0] for cells in rows()] == found[1].splitlines()
    assert {len(cells) for cells in rows()} == {2 + PEERS}


def test_each_note_is_used_and_defined() -> None:
    assert sorted(set(referred(PAGE))) == sorted(notes())
    assert len(NOTE.findall(PAGE)) == len(notes()), "a label is defined twice"
