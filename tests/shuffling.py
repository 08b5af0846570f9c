"""Tests in another order, the same for the same seed: `make test ARGS="--shuffle 7"`. What fails so leans on others."""

import random
from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


def shuffled(tests: Sequence[T], file_of: Callable[[T], str], seed: int) -> list[T]:
    """Files in another order, and the tests of each; a file stays together, since its tests share what it starts."""
    order = random.Random(seed)
    files: dict[str, list[T]] = {}
    for test in tests:
        files.setdefault(file_of(test), []).append(test)
    names = list(files)
    order.shuffle(names)
    for name in names:
        order.shuffle(files[name])
    return [test for name in names for test in files[name]]
