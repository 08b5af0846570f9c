"""The file below the key ring: created once, replaced whole, mode 0600, clear about what is wrong with it.

Knows nothing of keys but that they are JSON objects. Errors never quote the content.
"""

import fcntl
import json
import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from gateway.config.substitution import is_mounted_secret
from gateway.errors import ConfigError, Mistake

Entry = dict[str, object]
Signature = tuple[int, int, int]
T = TypeVar("T")

_VERSION = 1
_MEND = (
    "restore it from a backup, or copy it from another replica; `auth-gateway key new` if it is lost for good"
)
_kept: dict[Path, bytes] = {}


def create(path: Path, entries: Sequence[Entry]) -> bool:
    """Make the file unless it is there; of several racing processes exactly one gets True."""
    if path.exists():
        return False
    with _explained(path):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = _draft(path, entries)
        try:
            os.link(
                draft, path
            )  # fails if the name exists, unlike rename; readers never see a half-written file
        except FileExistsError:
            return False
        finally:
            os.unlink(draft)
    return True


def replace(path: Path, entries: Sequence[Entry]) -> None:
    with _explained(path):
        os.replace(_draft(path, entries), path)


def parse(path: Path, entry: Callable[[Entry], T]) -> list[T]:
    """Return the file's entries. Raises ConfigError with the mend if it is missing, open to others or not what we
    wrote.
    """
    with _explained(path):
        text = path.read_bytes()
        # Container engines mount secrets readable for all, in a file system that only the container has.
        if path.stat().st_mode & 0o007 and not is_mounted_secret(path):
            raise _mistake(path, "every user of this machine can read it", f"chmod 600 {path}")
    return _parse(path, text, entry)


def keep(path: Path) -> None:
    """Remember the file's content in this process and in those that it forks (see `kept`)."""
    with _explained(path):
        _kept[path] = path.read_bytes()


def kept(path: Path, entry: Callable[[Entry], T]) -> list[T] | None:
    """The entries that `keep` remembered, None if it was not called: a worker that starts again when the file
    is gone must not be worse off than those that go on."""
    text = _kept.get(path)
    return None if text is None else _parse(path, text, entry)


def _parse(path: Path, text: bytes, entry: Callable[[Entry], T]) -> list[T]:
    try:
        document = json.loads(text)
        if document["version"] != _VERSION:
            raise _mistake(path, "it was written by another version", "run the version that wrote it")
        parsed = [entry(item) for item in document["keys"]]
    except (KeyError, TypeError, ValueError, AttributeError):
        raise _mistake(path, "this is not a key ring, or it is damaged", _MEND) from None
    if not parsed:
        raise _mistake(path, "the key ring is empty", _MEND)
    return parsed


def signature(path: Path) -> Signature:
    """Differs after every replace: a new file has another inode."""
    with _explained(path):
        stat = path.stat()
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """One process at a time. The lock is on the folder, because the file itself gets replaced."""
    with _explained(path):
        descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _draft(path: Path, entries: Sequence[Entry]) -> Path:
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            json.dump({"version": _VERSION, "keys": list(entries)}, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        with suppress(OSError):
            os.unlink(draft)
        raise
    return draft


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        if not path.parent.is_dir():
            raise _mistake(
                path, f"the folder {path.parent} can't be made", "make it, or write another path"
            ) from None
        raise _mistake(path, "the key ring is missing", _MEND) from None
    except OSError as error:
        problem = f"the key ring can't be used: {error.strerror}"
        raise _mistake(path, problem, "let the gateway's user read the file and write its folder") from None


def _mistake(path: Path, problem: str, mend: str) -> ConfigError:
    return ConfigError([Mistake(file=str(path), line=0, key="session.keys_file", problem=problem, mend=mend)])
