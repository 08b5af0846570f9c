"""Code that speaks a protocol says why it does what it does, so that a reader need not know the standard by heart.

Prose is a line with a comment or of a docstring; blank lines count for nothing. How much of it a package has is no
measure of its worth, but where it falls below these floors somebody has written protocol code and explained nothing.
"""

import ast
import io
import tokenize
from pathlib import Path

import pytest

GATEWAY = Path(__file__).resolve().parents[2] / "gateway"

FLOORS = {
    "proxy": 18,
    "request": 18,
    "server/fastpath": 13,
    "server/connection.py": 14,
    "server/closing_connection.py": 14,
    "session/cookie.py": 18,
    "authn/factors": 14,
    "forwardauth": 12,
    "oidc": 12,
}
"""Lines of prose in a hundred."""

DIRECTIVE = ("# noqa", "# type:", "# pragma")


def prose(source: str) -> int:
    """Lines that hold a comment or words of a docstring, or of what stands below a constant."""
    lines = source.splitlines()
    found = {
        token.start[0]
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT and not token.string.startswith(DIRECTIVE)
    }
    for node in ast.walk(ast.parse(source)):
        if (
            isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
        ):
            within = range(node.lineno, (node.end_lineno or node.lineno) + 1)
            found |= {number for number in within if lines[number - 1].strip().strip('"')}
    return len(found)


def code(source: str) -> int:
    """Lines that are not blank."""
    return sum(1 for line in source.splitlines() if line.strip())


@pytest.mark.parametrize(("place", "floor"), FLOORS.items())
def test_protocol_code_says_why(place: str, floor: int) -> None:
    path = GATEWAY / place
    sources = [file.read_text(encoding="utf-8") for file in (path.rglob("*.py") if path.is_dir() else [path])]
    share = 100 * sum(map(prose, sources)) / sum(map(code, sources))
    assert share >= floor, f"{share:.0f} lines of prose in a hundred"


def test_prose_is_told_from_code() -> None:
    assert (
        prose('"""What.\n\nWhy.\n"""\n\nA = 1  # so many\nB = "text"\n"""Of B."""\nimport x  # noqa: F401\n')
        == 4
    )
