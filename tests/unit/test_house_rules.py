"""The house rules that a linter does not know."""

import ast
import re
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / "gateway").rglob("*.py"))
ALL_FILES = FILES + sorted((*(ROOT / "tests").rglob("*.py"), *(ROOT / "bench").rglob("*.py")))

LONGEST = 300
MOST_BY_POSITION = 3

VAGUE = re.compile(r"(^|_)(utils?|helpers?|managers?|misc|stuff)(_|$)")


def named(file: Path) -> str:
    return str(file.relative_to(ROOT))


def swallowed(tree: ast.AST) -> list[int]:
    """Lines where an `except` for everything does nothing at all."""
    return [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or getattr(node.type, "id", "") in ("Exception", "BaseException"))
        and all(isinstance(step, ast.Pass | ast.Continue) for step in node.body)
    ]


def dropped_tasks(tree: ast.AST) -> list[int]:
    """Lines that start a task and keep no reference: the loop holds only a weak one, so it may vanish midway.

    A TaskGroup keeps its tasks; it is called `group`.
    """
    calls = [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
    ]
    written = [(call.lineno, ast.unparse(call.func)) for call in calls]
    return [line for line, name in written if re.search(r"(?<!group\.)\b(create_task|ensure_future)$", name)]


def calls_in_defaults(tree: ast.AST) -> list[int]:
    """Lines of functions whose default argument reads the clock or makes something random, once, at import."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            defaults = [*node.args.defaults, *filter(None, node.args.kw_defaults)]
            defaults = [default for default in defaults if not isinstance(default, ast.Lambda)]
            calls = [call for default in defaults for call in ast.walk(default) if isinstance(call, ast.Call)]
            found += [
                node.lineno
                for call in calls
                if re.search(r"(^|\.)(time|monotonic|now|token_\w+|random|uuid\d)$", ast.unparse(call.func))
            ]
    return found


def classes_of(sources: Iterable[str]) -> set[str]:
    """Names of all classes that are defined there."""
    return {
        node.name
        for source in sources
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ClassDef)
    }


def filled_by_position(tree: ast.AST, ours: set[str]) -> list[int]:
    """Lines that call a class of ours with so many positional values that one must count to know which is which.

    In a method of the class it may be called `cls`.
    """
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    names = [(call, ast.unparse(call.func).partition("[")[0].rpartition(".")[2]) for call in calls]
    return [
        call.lineno for call, name in names if len(call.args) > MOST_BY_POSITION and name in ours | {"cls"}
    ]


def whole_bundles(tree: ast.AST) -> list[str]:
    """Classes that keep or take all of the shared services instead of those that they use."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            kept = [one.annotation for one in node.body if isinstance(one, ast.AnnAssign)]
            init = [one for one in node.body if getattr(one, "name", "") == "__init__"]
            taken = [one.annotation for step in init for one in ast.walk(step) if isinstance(one, ast.arg)]
            if "Services" in [ast.unparse(one) for one in (*kept, *taken) if one is not None]:
                found.append(node.name)
    return found


def vague_names(tree: ast.AST) -> list[str]:
    """Classes and functions that could be called anything."""
    kinds = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    names = [node.name for node in ast.walk(tree) if isinstance(node, kinds)]
    return [name for name in names if re.search(r"(Manager|Helper|Util)s?$", name) or VAGUE.search(name)]


@cache
def source_of(file: Path) -> str:
    return file.read_text()


@cache
def tree_of(file: Path) -> ast.Module:
    return ast.parse(source_of(file))


def breaking(rule: Callable[[ast.Module], object]) -> dict[str, object]:
    """The files of the gateway that break a rule, and how: one test for all, since thousands take minutes."""
    return {named(file): found for file in FILES if (found := rule(tree_of(file)))}


def test_files_are_short_enough_to_read() -> None:
    lengths = {named(file): len(source_of(file).splitlines()) for file in ALL_FILES}
    assert {name: lines for name, lines in lengths.items() if lines >= LONGEST} == {}


def test_files_are_named_after_what_they_hold() -> None:
    assert [named(file) for file in ALL_FILES if VAGUE.search(file.stem)] == []


def test_classes_and_functions_have_no_vague_names() -> None:
    assert breaking(vague_names) == {}


def test_modules_open_by_saying_what_they_are_for() -> None:
    assert breaking(lambda tree: bool(tree.body) and not ast.get_docstring(tree)) == {}


def test_errors_are_not_swallowed() -> None:
    assert breaking(swallowed) == {}


def test_tasks_are_kept() -> None:
    assert breaking(dropped_tasks) == {}


def test_time_and_randomness_are_not_frozen_into_defaults() -> None:
    assert breaking(calls_in_defaults) == {}


def test_nothing_is_left_for_later() -> None:
    later = re.compile(r"\b(?:TODO|FIXME|XXX|HACK)\b")
    assert [named(file) for file in FILES if later.search(source_of(file))] == []


SAME_NAME: dict[str, str] = {}
"""Public classes that share a name -> why they really are one thing."""

LOOSE = {
    *("__init__.py", "__main__.py", "clock.py", "errors.py", "keyfile.py", "keyring.py", "model.py"),
    "rate_limits.py",
}
"""The files that stand directly in gateway/. Everything else has a package where one looks for it."""


def classes(sources: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Public class -> the files, of (name, source), that define one so named, at any depth."""
    found: dict[str, list[str]] = {}
    for file, source in sources:
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                found.setdefault(node.name, []).append(file)
    return found


def test_a_class_name_means_one_thing() -> None:
    found = classes((named(file), source_of(file)) for file in FILES)
    shared = {name: files for name, files in found.items() if len(files) > 1}
    assert {name: files for name, files in shared.items() if name not in SAME_NAME} == {}
    assert sorted(SAME_NAME) == sorted(set(SAME_NAME) & set(shared)), "an exception that is none any more"


def test_the_formatter_lays_out_every_line() -> None:
    skips = re.compile(r"#\s*fmt:\s*(?:skip|off)")
    assert [named(file) for file in ALL_FILES if skips.search(source_of(file))] == []


def test_files_that_stand_loose_are_those_of_the_list() -> None:
    assert {file.name for file in (ROOT / "gateway").glob("*.py")} == LOOSE
    assert len(LOOSE) <= 8


def test_a_package_says_what_it_is_for() -> None:
    packages = [file for file in FILES if file.name == "__init__.py"]
    assert [named(file) for file in packages if not ast.get_docstring(tree_of(file))] == []


@pytest.mark.parametrize(
    ("words", "file"),
    [
        ('getall("Cookie"', "gateway/request/target.py"),
        *((words, "gateway/session/cookie.py") for words in ('"samesite"', "samesite=")),
        *((words, "gateway/session/cookie.py") for words in ('"__Host-" +', "'__Host-'")),
    ],
)
def test_what_is_written_once_is_written_once(words: str, file: str) -> None:
    """The Cookie header and our cookies' prefix and flags each have one function."""
    assert [named(each) for each in FILES if words in source_of(each)] in ([], [file])


def test_constructors_are_called_by_keyword() -> None:
    ours = classes_of(map(source_of, FILES))
    assert breaking(lambda tree: filled_by_position(tree, ours)) == {}


def test_a_class_takes_what_it_uses() -> None:
    """The console has more than a dozen pages and an API, which share what `AdminServices` names."""
    assert breaking(lambda tree: set(whole_bundles(tree)) - {"AdminServices", "Composed"}) == {}


def test_the_rules_see_what_they_forbid() -> None:
    assert filled_by_position(ast.parse("Ours(1, 2, 3)\nx.Ours(1, 2, 3, 4)\nf(1, 2, 3, 4)\n"), {"Ours"}) == [
        2
    ]
    assert filled_by_position(ast.parse("cls(1, 2, 3, 4)\nOurs(1, *rest, a=2, b=3)\n"), {"Ours"}) == [1]
    assert whole_bundles(ast.parse("class V:\n  def __init__(self, all: Services): ...\n")) == ["V"]
    assert whole_bundles(ast.parse("@dataclass\nclass V:\n  all: Services\n")) == ["V"]
    assert swallowed(ast.parse("try:\n    f()\nexcept Exception:\n    pass\n")) == [3]
    assert dropped_tasks(ast.parse("import asyncio\nasyncio.create_task(f())\n")) == [2]
    assert dropped_tasks(ast.parse("loop().create_task(f())\n")) == [1]
    assert dropped_tasks(ast.parse("task = asyncio.create_task(f())\ngroup.create_task(f())\n")) == []
    assert calls_in_defaults(ast.parse("def f(at=time.time()): ...")) == [1]
    assert classes([("a", "class A: ..."), ("b", "def f():\n    class A: ...\nclass _B: ...")]) == {
        "A": ["a", "b"]
    }
    vague = "class A: ...\nclass TaskManager: ...\ndef string_utils(): ...\n"
    assert sorted(vague_names(ast.parse(vague))) == ["TaskManager", "string_utils"]
    assert VAGUE.search("string_utils")
    assert not VAGUE.search("utility")


def test_every_audit_event_is_in_the_operators_table() -> None:
    """A quick look; tests/unit/docs/test_logging_page.py compares the fields, too."""
    page = (ROOT / "docs" / "logging.md").read_text(encoding="utf-8")
    calls = [re.findall(r"\brecord\(\s*\"(\w+)\"", source_of(file)) for file in FILES]
    events = {event for found in calls for event in found}
    assert {event for event in events if f"| `{event}` |" not in page} == set()
