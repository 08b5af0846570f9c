"""Comments and docstrings point at modules that are there: files move, and what is written about them stays behind."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GATEWAY = ROOT / "gateway"
FILES = sorted(GATEWAY.rglob("*.py"))
MODULES = {str(file.relative_to(GATEWAY).with_suffix("")) for file in FILES}


def prose(source: str) -> Iterator[str]:
    """The comments and the strings that stand alone."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.string
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            yield str(node.value.value)


def is_there(dotted: str) -> bool:
    """Whether `gateway.a.b` is a module, a package, or a name in one."""
    path = dotted.removeprefix("gateway.").replace(".", "/")
    return path in MODULES or (GATEWAY / path).is_dir() or path.rpartition("/")[0] in MODULES


def lost(text: str) -> list[str]:
    """What the text points at that is not there."""
    dotted = [name for name in re.findall(r"\bgateway(?:\.[a-z0-9_]+)+", text) if not is_there(name)]
    paths = [name for name in re.findall(r"[\w/]*\w+\.py\b", text) if not (ROOT / name).exists()]
    return dotted + [
        name for name in paths if not any(f"/{file}.py".endswith(f"/{name}") for file in MODULES)
    ]


def test_comments_and_docstrings_point_at_what_is_there() -> None:
    found = {str(file): [name for text in prose(file.read_text()) for name in lost(text)] for file in FILES}
    assert {file: names for file, names in found.items() if names} == {}


def test_the_rule_sees_what_is_lost() -> None:
    assert lost("see gateway.clock and gateway.proxy, authn/login.py, Makefile") == []
    assert lost("see gateway.target, `front.py`") == ["gateway.target", "front.py"]
