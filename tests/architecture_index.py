"""`python -m tests.architecture_index` writes the list of modules in docs/architecture.md anew.

Each line is the first sentence of the module's docstring. tests/unit/test_architecture_page.py fails while a module is
missing there, or one is named that is gone.
"""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "architecture.md"
HEADING = "## Every module\n"


def modules() -> list[str]:
    """All modules below gateway/, as paths; a package's own __init__ is described by the package."""
    files = (ROOT / "gateway").rglob("*.py")
    return sorted(
        str(file.relative_to(ROOT / "gateway"))
        for file in files
        if not (file.parent != ROOT / "gateway" and file.name == "__init__.py")
    )


def first_sentence(docstring: str) -> str:
    """The docstring up to the first full stop that ends a sentence, on one line of a table."""
    text = " ".join(docstring.partition("\n\n")[0].split())
    sentence = re.split(r"(?<=[.!?])\s+(?=[A-Z`])", text, maxsplit=1)[0]
    return sentence.rstrip(".:").replace("|", "\\|")


def index() -> str:
    """The list: a table for each package."""
    lines: list[str] = []
    package = None
    for module in modules():
        here = module.partition("/")[0] if "/" in module else ""
        if here != package:
            package = here
            lines += ["", f"### {here or 'gateway'}", "", "| module | what it does |", "|---|---|"]
        tree = ast.parse((ROOT / "gateway" / module).read_text(encoding="utf-8"))
        lines.append(f"| `{module}` | {first_sentence(ast.get_docstring(tree) or '')} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    text, _, _ = PAGE.read_text(encoding="utf-8").partition(HEADING)
    origin = "Written by `python -m tests.architecture_index` from the modules' first sentences."
    PAGE.write_text(f"{text}{HEADING}\n{origin}\n{index()}", encoding="utf-8")
