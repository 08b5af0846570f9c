"""What a check across keys reports."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from gateway.config.schema import Config
from gateway.config.yaml_document import KeyPath


@dataclass(frozen=True, slots=True)
class Finding:
    """A mistake, or a warning: sound, but the author should look at it."""

    path: KeyPath
    problem: str
    mend: str = ""
    warning: bool = False

    def renumbered(self, kept: Sequence[int]) -> "Finding":
        """With the route's number in the file, when broken routes were left out before the check."""
        if len(self.path) > 1 and self.path[0] == "routes" and isinstance(self.path[1], int):
            return replace(self, path=("routes", kept[self.path[1]], *self.path[2:]))
        return self


Check = Callable[[Config], Iterable[Finding]]
