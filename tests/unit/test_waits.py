"""House rule: no test depends on how fast this machine is. What must come gets tests.waiting.PATIENCE.

A real time-out below 30 s is allowed where the wait is what is tested and can't be lost: its line says `# short:` and
what never comes.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.config.units import parse_duration

TESTS = Path(__file__).parents[1]
FILES = [
    path
    for path in sorted(TESTS.rglob("*.py"))
    if path.name != "waiting.py" and "data" not in path.relative_to(TESTS).parts
]
ENOUGH = 30.0
OTHERS = {"idle_timeout", "absolute_timeout", "shutdown_timeout"}
"""Sessions end by the clock of the gateway, which stands still in tests; the last one cuts off, it waits for nobody."""
OF_A_ROUTE = {"connect", "response", "idle"}


def length(node: ast.expr | None) -> float | None:
    """Seconds, where it is written out."""
    if not isinstance(node, ast.Constant) or isinstance(node.value, bool):
        return None
    if isinstance(node.value, int | float):
        return float(node.value)
    if isinstance(node.value, str) and re.fullmatch(r"[\d.]+(ms|s|m|h)", node.value):
        return float(str(parse_duration(node.value)))
    return None


def waits(tree: ast.AST) -> Iterator[tuple[ast.expr | ast.stmt, float]]:
    """(where, seconds) of each wait with an end of its own."""
    for node in ast.walk(tree):
        named: list[tuple[str, ast.expr]] = []
        if isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            named = [(keyword.arg or "", keyword.value) for keyword in node.keywords]
            if called == "Timeouts":
                named = [("timeout", keyword.value) for keyword in node.keywords]
            elif called in {"timeout", "ClientTimeout"}:
                named += [("timeout", one) for one in node.args[:1]]
            elif called == "wait_for":
                named += [("timeout", one) for one in node.args[1:2]]
        elif isinstance(node, ast.Dict):
            named = [
                (
                    "timeout"
                    if key.value in OF_A_ROUTE and isinstance(value, ast.Constant)
                    else str(key.value),
                    value,
                )
                for key, value in zip(node.keys, node.values, strict=True)
                if isinstance(key, ast.Constant)
            ]
        for name, value in named:
            written = length(value)
            if written and "timeout" in name.lower() and name not in OTHERS:
                yield value, written
        if isinstance(node, ast.For) and _asks_again(node):
            yield node.iter, 0.0


def _asks_again(loop: ast.For) -> bool:
    """`for _ in range(50): if come: break; sleep`, which is a time-out of 50 sleeps."""
    inside = list(ast.walk(loop))
    counts = isinstance(loop.target, ast.Name) and loop.target.id == "_"
    sleeps = any(isinstance(one, ast.Attribute) and one.attr == "sleep" for one in inside)
    return counts and sleeps and any(isinstance(one, ast.Break | ast.Return) for one in inside)


def too_short(source: str) -> list[int]:
    """The lines of waits that a busy machine may lose."""
    lines = source.splitlines()
    return [
        where.lineno
        for where, written in waits(ast.parse(source))
        if written < ENOUGH and "# short" not in lines[where.lineno - 1]
    ]


@pytest.mark.parametrize(
    "source",
    [
        "async with asyncio.timeout(5): ...",
        "await asyncio.wait_for(it, 20)",
        "send(url, timeout='500ms')",
        "limits = {'head_timeout': '200ms'}",
        "route = {'timeouts': {'response': '1s'}}",
        "Route(timeouts=Timeouts(idle=0.1))",
        "for _ in range(50):\n    if done: break\n    await asyncio.sleep(0.1)",
    ],
)
def test_a_short_wait_is_found(source: str) -> None:
    assert too_short(source) == [1]
    assert source.startswith("for") or too_short(f"{source}  # short: nobody answers") == []


@pytest.mark.parametrize(
    "source",
    ["asyncio.timeout(PATIENCE)", "asyncio.timeout(30)", "{'idle_timeout': '12s'}", "{'idle': None}"],
)
def test_a_patient_wait_passes(source: str) -> None:
    assert too_short(source) == []


def test_no_test_is_in_a_hurry() -> None:
    found = [f"{path.relative_to(TESTS)}:{line}" for path in FILES for line in too_short(path.read_text())]
    assert found == [], "wait for tests.waiting.PATIENCE or until(), or say `# short:` and what never comes"
