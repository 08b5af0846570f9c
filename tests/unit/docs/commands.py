"""The shell commands that README.md and the other pages print in blocks, in order, as a reader types them."""

import re
import shlex
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
HEADING_OR_BLOCK = re.compile(r"^## ([^\n]+)$|^```(sh|console)\n(.*?)^```$", re.M | re.S)
INLINE = re.compile(r"`((?:auth-gateway|make|pip install|python -m) [^`\n]+)`")


@dataclass(frozen=True)
class Command:
    page: str
    section: str
    line: str
    """Without prompt and comment; lines that go on are put together."""

    @property
    def words(self) -> list[str]:
        return shlex.split(self.line)


@cache
def pages() -> tuple[Path, ...]:
    found = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")]
    return (*found, *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "deploy").rglob("*.md")))


def printed() -> list[Command]:
    """Every command in a block. In a `console` block they begin with "$ ", and the other lines are what they print."""
    found = []
    for page in pages():
        section = ""
        for heading, language, block in HEADING_OR_BLOCK.findall(page.read_text(encoding="utf-8")):
            section = heading or section
            for line in block.replace("\\\n", " ").splitlines():
                if language == "console" and not line.startswith("$ "):
                    continue
                whole = without_comment(line.removeprefix("$ "))
                found += [Command(page.name, section, part) for part in re.split(r" && |; ", whole) if part]
    return found


def inline() -> list[Command]:
    """What stands in a sentence; `a|b` there stands for one of both."""
    found = []
    for page in pages():
        text = re.sub(r"^ *```.*?^ *```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
        found += [Command(page.name, "", line.replace("\\|", "|")) for line in INLINE.findall(text)]
    return found


def without_comment(line: str) -> str:
    """The line up to a # that stands for itself, without spaces around."""
    return re.split(r"(?:^|\s)#(?:\s|$)", line)[0].strip()
