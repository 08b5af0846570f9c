"""The files that rows of the audit log go to before they are deleted: gzip of one JSON object a line, sealed or plain.

A file has its name only once all of it is on the disk, so what has a name is whole.
"""

import gzip
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from gateway.errors import GatewayError
from gateway.stores.protocols.audit import AuditEntry
from gateway.stores.sealed_file import BackupRefused, read_sealed, write_sealed

_SHORTEST = 12
_CHUNK = 1024 * 1024
SEALED = ".sealed"


class ArchiveFailed(GatewayError):
    """An archive that can't be written or read; the message is one line for the operator."""


class AuditArchiveFolder:
    """Writes files to a folder, which is made if it is missing."""

    def __init__(self, folder: Path, key_file: Path | None) -> None:
        self._folder, self._key_file = folder, key_file

    def write(self, entries: Sequence[AuditEntry]) -> Path:
        """Write a file of these entries, oldest first, and return it. Raises ArchiveFailed, and then there is none."""
        lines = "".join(json.dumps(_line(one), ensure_ascii=False) + "\n" for one in entries)
        packed = gzip.compress(lines.encode(), 6)
        at = datetime.fromtimestamp(entries[0].row.at, UTC)
        name = f"audit-{at:%Y%m%dT%H%M%SZ}-{entries[0].id}-{entries[-1].id}.jsonl.gz"
        file = self._folder / (name + SEALED if self._key_file else name)
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._put(file, packed)
        except (OSError, BackupRefused) as error:
            problem = error.detail if isinstance(error, BackupRefused) else f"{file}: {error.strerror}"
            raise ArchiveFailed(f"the audit log can't be archived: {problem}") from None
        return file

    def _put(self, file: Path, packed: bytes) -> None:
        unnamed = file.with_name(f".{file.name}.{os.getpid()}")
        unnamed.unlink(missing_ok=True)
        try:
            if self._key_file is not None:
                write_sealed(unnamed, archive_secret(self._key_file), _chunks(packed))
            else:
                descriptor = os.open(unnamed, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
                with os.fdopen(descriptor, "wb") as stream:
                    stream.write(packed)
                    stream.flush()
                    os.fsync(stream.fileno())
            unnamed.replace(file)
        except BaseException:
            with suppress(OSError):
                unnamed.unlink(missing_ok=True)
            raise
        folder = os.open(file.parent, os.O_RDONLY)
        try:
            os.fsync(folder)  # the name itself
        finally:
            os.close(folder)


def archive_secret(key_file: Path) -> bytes:
    """Read the secret that seals archives. Raises ArchiveFailed."""
    try:
        secret = key_file.read_bytes().strip()
    except OSError as error:
        raise ArchiveFailed(f"{key_file} can't be read: {error.strerror}") from None
    if len(secret) < _SHORTEST:
        raise ArchiveFailed(f"{key_file} has fewer than {_SHORTEST} bytes")
    return secret


def read_archive(file: Path, key_file: Path | None) -> Iterator[dict[str, object]]:
    """Yield the entries of a file, oldest first. Raises ArchiveFailed."""
    if file.name.endswith(SEALED) and key_file is None:
        raise ArchiveFailed(f"{file} is sealed: say --key-file")
    try:
        if key_file is not None and file.name.endswith(SEALED):
            packed = b"".join(read_sealed(file, archive_secret(key_file)))
        else:
            packed = file.read_bytes()
        for line in gzip.decompress(packed).splitlines():
            yield json.loads(line)
    except BackupRefused as error:
        raise ArchiveFailed(error.detail) from None
    except (OSError, EOFError, ValueError) as error:
        raise ArchiveFailed(f"{file} can't be read: {error}") from None


def _chunks(content: bytes) -> Iterator[bytes]:
    for begin in range(0, len(content), _CHUNK):
        yield content[begin : begin + _CHUNK]


def _line(entry: AuditEntry) -> Mapping[str, object]:
    return {"id": entry.id, **asdict(entry.row)}
