"""Twin of gateway/server/ordinary_answer.py: what we rely on of aiohttp's inside is there."""

import re
from pathlib import Path

import aiohttp
import pytest

from gateway.server.ordinary_answer import INSIDE

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("owner", "name"), [(owner, name) for owner, names in INSIDE.items() for name in names]
)
def test_what_we_use_of_aiohttp_inside_is_there(owner: type, name: str) -> None:
    slots = {slot for one in owner.__mro__ for slot in getattr(one, "__slots__", ())}
    listed = getattr(owner, "ATTRS", frozenset())
    assert name in slots or name in listed or hasattr(owner, name)


def test_the_adapter_names_each_private_attribute_that_any_of_our_code_touches() -> None:
    """`request._x`, `port._x` and the like: of aiohttp's objects, nobody else may reach inside."""
    named = {name for names in INSIDE.values() for name in names}
    used: set[str] = set()
    for file in (ROOT / "gateway").rglob("*.py"):
        used |= set(re.findall(r"\brequest\.(_[a-z]\w*)", file.read_text()))
    assert used <= named


def test_aiohttp_is_pinned_below_the_next_minor_version() -> None:
    installed = tuple(map(int, aiohttp.__version__.split(".")[:2]))
    pinned = re.search(r'"aiohttp>=(\d+)\.(\d+),<(\d+)\.(\d+)"', (ROOT / "pyproject.toml").read_text())
    assert pinned is not None
    assert installed == (int(pinned[1]), int(pinned[2])) == (int(pinned[3]), int(pinned[4]) - 1)
