"""The certificate that was got last, in a file of this host: a start needs neither the authority nor the database.

Mode 0600, and a file that others may read is not used: its key may be theirs by now.
"""

import logging
import os
import stat
import tempfile
from pathlib import Path

from gateway.server.tls.acme.bundle import Bundle

log = logging.getLogger("gateway.acme")
_NAME = "certificate.pem"
Signature = tuple[int, int, int]
"""Differs after every replacement."""


class CertificateCache:
    """One file in the folder `server.tls.acme.cache`."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / _NAME

    def signature(self) -> Signature | None:
        """Return what tells the file from another one of its name; None if there is none."""
        try:
            found = self.file.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino

    def read(self) -> Bundle | None:
        """Return what is in the file; None, and a line in the log, if it can't be used."""
        try:
            descriptor = os.open(self.file, os.O_RDONLY)
        except FileNotFoundError:
            return None
        except OSError as error:
            log.error("the certificate in %s can't be read: %s", self.file, error.strerror)
            return None
        with os.fdopen(descriptor) as stream:
            if stat.S_IMODE(os.fstat(descriptor).st_mode) & 0o077:
                log.error("%s is not used: others may read the key in it (mode must be 0600)", self.file)
                return None
            try:
                return Bundle.parse(stream.read())
            except ValueError:
                log.error("%s is not used: it is no certificate with its key", self.file)
                return None

    def write(self, bundle: Bundle) -> None:
        """Replace the file, unless it has this already. A folder that can't be written to costs a line in the log."""
        if self.signature() is not None and self.read() == bundle:
            return
        try:
            self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            written_to(bundle.pem, self.file.parent).replace(self.file)
        except OSError as error:
            log.error("the certificate can't be kept in %s: %s", self.file, error.strerror)


def written_to(text: str, folder: Path | None = None) -> Path:
    """Write a new file that only we may read; returns its path. Raises OSError."""
    descriptor, name = tempfile.mkstemp(dir=folder, prefix=".certificate-")  # mode 0600
    try:
        with os.fdopen(descriptor, "w") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return Path(name)
