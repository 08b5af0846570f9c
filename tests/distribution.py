"""Which tests stay in one of xdist's processes, one after the other. All others go to whoever is free.

Those that mark themselves `xdist_group("name")`: beside another of their kind they would wait for each other's
processes. And those of a file whose set-up is made once for all of them: two processes would make it twice.

We read the sources, since xdist 3.8 writes the mark into a field that newer pytest does not have, and so sees none.
"""

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xdist.scheduler import LoadScopeScheduling

ROOT = Path(__file__).resolve().parents[1]
_MARK = re.compile(r'xdist_group\(f?"([^"]+)"\)')
_SHARED = re.compile(r'^@pytest\w*\.fixture\(.*scope="(?:module|package)"', re.MULTILINE)
_PARAMETER = "{name}"
"""In the name of a group: the tests with the same first parameter are one."""


def scope_of(nodeid: str) -> str:
    """The name of what a test stays together with, which is itself alone for most."""
    file, _, test = nodeid.partition("::")
    group = _group_of(file)
    if _PARAMETER in group:
        return group.replace(_PARAMETER, test.partition("[")[2].partition("]")[0])
    return group or nodeid


@cache
def _group_of(file: str) -> str:
    source = (ROOT / file).read_text()
    marked = _MARK.search(source)
    if marked:
        return marked[1]
    return file if _SHARED.search(source) else ""


def scheduler() -> "type[LoadScopeScheduling]":
    """xdist's own way to keep tests together, with our names."""
    from xdist.scheduler import LoadScopeScheduling  # not above: a run without xdist needs none

    class Together(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return scope_of(nodeid)

    return Together
