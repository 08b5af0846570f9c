"""Writes and reads a file of sealed chunks: nobody without its secret reads it, and no chunk can be changed, left out,
repeated or cut off unseen.

AES-256-GCM per chunk with a counter and a mark on the last one as nonce (the STREAM construction), the key from scrypt.
"""

import os
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from gateway.errors import GatewayError

_MAGIC = b"auth-gateway backup 1\n"
_SALT, _LENGTH = 16, struct.Struct(">I")
_LARGEST = 64 * 1024 * 1024


class BackupRefused(GatewayError):
    """A backup that can't be made, opened or restored; the message is one line for the operator."""


def write_sealed(path: Path, secret: bytes, chunks: Iterable[bytes]) -> None:
    """Write `chunks` to a new file, mode 0600. Raises BackupRefused if it exists or can't be written."""
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except OSError as error:
        raise BackupRefused(f"{path} can't be made: {error.strerror}") from None
    try:
        with os.fdopen(descriptor, "wb") as file:
            _write(file, secret, chunks)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        path.unlink(missing_ok=True)  # half a backup is none
        raise


def _write(file: BinaryIO, secret: bytes, chunks: Iterable[bytes]) -> None:
    salt = os.urandom(_SALT)
    file.write(_MAGIC + salt)
    cipher = AESGCM(_key(secret, salt))
    waiting: bytes | None = None
    number = 0
    for chunk in chunks:
        if waiting is not None:
            _put(file, cipher.encrypt(_nonce(number, last=False), waiting, None))
            number += 1
        waiting = chunk
    _put(file, cipher.encrypt(_nonce(number, last=True), waiting or b"", None))


def read_sealed(path: Path, secret: bytes) -> Iterator[bytes]:
    """Yield the chunks of a file. Raises BackupRefused for a wrong secret and for a file that is not whole."""
    try:
        with path.open("rb") as file:
            if file.read(len(_MAGIC)) != _MAGIC:
                raise BackupRefused(f"{path} is no backup of auth-gateway")
            cipher = AESGCM(_key(secret, file.read(_SALT)))
            yield from _read(file, cipher)
    except OSError as error:
        raise BackupRefused(f"{path} can't be read: {error.strerror}") from None
    except InvalidTag:
        raise BackupRefused(f"{path}: another passphrase or key file, or the file is damaged") from None


def _read(file: BinaryIO, cipher: AESGCM) -> Iterator[bytes]:
    number, sealed = 0, _take(file)
    while (following := _take(file)) is not None:
        yield cipher.decrypt(_nonce(number, last=False), sealed or b"", None)
        number, sealed = number + 1, following
    yield cipher.decrypt(_nonce(number, last=True), sealed or b"", None)


def _put(file: BinaryIO, sealed: bytes) -> None:
    file.write(_LENGTH.pack(len(sealed)) + sealed)


def _take(file: BinaryIO) -> bytes | None:
    head = file.read(_LENGTH.size)
    if not head:
        return None
    length = _LENGTH.unpack(head)[0] if len(head) == _LENGTH.size else _LARGEST + 1
    sealed = file.read(length) if length <= _LARGEST else b""
    if len(sealed) != length:
        raise InvalidTag
    return sealed


def _nonce(number: int, *, last: bool) -> bytes:
    return struct.pack(">QI", number, int(last))


def _key(secret: bytes, salt: bytes) -> bytes:
    return Scrypt(salt=salt, length=32, n=2**15, r=8, p=1).derive(secret)
