"""Templates are compiled once, whatever language or brand they are shown in."""

from types import CodeType

from jinja2 import BytecodeCache
from jinja2.bccache import Bucket


class SharedCode(BytecodeCache):
    """Keeps the code of templates in memory, for environments that differ in globals and filters alone.

    Each language has an environment, so a template that nobody shared would be compiled fifteen times, each time while
    the first reader of its language waits. `Bucket.checksum` is of the source: other templates have other code.
    """

    def __init__(self) -> None:
        self._code: dict[tuple[str, str], CodeType] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        bucket.code = self._code.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        assert bucket.code is not None
        self._code[bucket.key, bucket.checksum] = bucket.code
