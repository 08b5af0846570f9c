"""Whether a password was seen in a breach: by Have I Been Pwned's range API, or by its list in files of our own.

The API is asked for all hashes that begin with the same five digits (k-anonymity) and answers with padding, so neither
it nor who watches the line learns which one was meant. What can't be asked is logged in one line and counts as unseen:
an outage elsewhere must not keep anybody from a new password.
"""

import asyncio
import logging
import os
from hashlib import sha1
from pathlib import Path

from aiohttp import ClientError, ClientSession, ClientTimeout, DummyCookieJar

from gateway.config.sections.passwords import Breached
from gateway.request.small_body import read_answer

log = logging.getLogger("gateway.passwords")

_PREFIX, _DIGEST = 5, 40
_LARGEST = 4 * 1024 * 1024
"""Bytes of an answer; real ones have some 40 KiB."""
_LONGEST_LINE = 128


class BreachedPasswords:
    """Asks what `passwords.breached` names."""

    def __init__(self, settings: Breached) -> None:
        self._settings = settings

    async def seen(self, password: str) -> bool:
        """Whether this very password is on a list."""
        digest = sha1(password.encode(errors="replace"), usedforsecurity=False).hexdigest().upper()
        if self._settings.file is not None:
            try:
                if await asyncio.to_thread(_in_files, self._settings.file, digest):
                    return True
            except OSError as error:
                log.warning(
                    "passwords.breached.file can't be read (%s): passwords are not compared with it", error
                )
        return self._settings.api and await self._asked(digest)

    async def _asked(self, digest: str) -> bool:
        url = f"{self._settings.url.rstrip('/')}/range/{digest[:_PREFIX]}"
        try:
            async with (
                ClientSession(
                    timeout=ClientTimeout(total=self._settings.timeout),
                    cookie_jar=DummyCookieJar(),
                    headers={"User-Agent": "auth-gateway", "Add-Padding": "true"},
                    trust_env=True,
                ) as web,
                web.get(url, allow_redirects=False) as response,
            ):
                text = await read_answer(response.content, _LARGEST) if response.status == 200 else b""
                if response.status != 200:
                    raise ClientError(f"status {response.status}")
        except (ClientError, TimeoutError, OSError, ValueError) as error:
            log.warning(
                "breached passwords could not be asked for (%s): the password is taken",
                str(error) or type(error).__name__,
            )
            return False
        return _listed(text, digest[_PREFIX:])


def _listed(text: bytes, suffix: str) -> bool:
    """Whether a range has the rest of a hash. Padding has a count of 0."""
    for line in text.decode(errors="replace").splitlines():
        hash, _, count = line.strip().partition(":")
        if hash.upper() == suffix:
            return count.strip() != "0"
    return False


def _in_files(place: Path, digest: str) -> bool:
    if not place.is_dir():
        return _in_sorted(place, digest)
    for name in (digest[:_PREFIX], f"{digest[:_PREFIX]}.txt"):
        if (place / name).is_file():
            return _listed((place / name).read_bytes(), digest[_PREFIX:])
    raise FileNotFoundError(f"{place} has no file for a range")


def _in_sorted(file: Path, digest: str) -> bool:
    """Search a file of tens of gigabytes by halves. Lines are `SHA1:count` in order."""
    wanted = digest.encode()
    with file.open("rb") as lines:
        low, high = 0, os.fstat(lines.fileno()).st_size
        while low < high:
            middle = (low + high) // 2
            lines.seek(max(middle - 1, 0))
            if middle:
                lines.readline(_LONGEST_LINE)  # to the beginning of the next line
            begin = lines.tell()
            found = lines.readline(_LONGEST_LINE)
            if not found or begin >= high:
                high = middle
            elif found[:_DIGEST].upper() < wanted:
                low = begin + len(found)
            elif found[:_DIGEST].upper() == wanted:
                return True
            else:
                high = middle
    return False
