"""Verifies password hashes that were imported from elsewhere (htpasswd, /etc/shadow, Authelia). It makes none.

Each is replaced by Argon2id at the user's next sign-in. Unsalted and DES hashes are refused: they are as good
as the password itself.
"""

import re
from collections.abc import Callable

import bcrypt
from passlib.hash import (  # type: ignore[import-untyped]  # libpass ships no type marker
    apr_md5_crypt,
    pbkdf2_sha256,
    pbkdf2_sha512,
    scrypt,
    sha256_crypt,
    sha512_crypt,
)

_MOST_ROUNDS = 2_000_000  # sha-crypt; an imported hash must not be able to keep a core busy for minutes
_PBKDF2 = r"\$pbkdf2-sha%d\$(?P<rounds>\d{1,7})\$[./A-Za-z0-9]{4,88}\$[./A-Za-z0-9]{22,88}"
_SHA_CRYPT = r"\$%d\$(rounds=(?P<rounds>\d{4,9})\$)?[^$:\s]{0,16}\$[./A-Za-z0-9]{%d}"


def _bcrypt(password: str, hash: str) -> bool:
    # htpasswd and every bcrypt before version 5 cut at 72 bytes without a word, so the hash is of those.
    return bcrypt.checkpw(password.encode()[:72], hash.encode())


_KINDS: tuple[tuple[re.Pattern[str], Callable[[str, str], bool]], ...] = (
    (re.compile(r"\$2[aby]\$(0[4-9]|1[0-6])\$[./A-Za-z0-9]{53}"), _bcrypt),
    (re.compile(_SHA_CRYPT % (6, 86)), sha512_crypt.verify),
    (re.compile(_SHA_CRYPT % (5, 43)), sha256_crypt.verify),
    (re.compile(_PBKDF2 % 512), pbkdf2_sha512.verify),
    (re.compile(_PBKDF2 % 256), pbkdf2_sha256.verify),
    (
        re.compile(
            r"\$scrypt\$ln=([1-9]|1[0-7]),r=[1-8],p=[1-4]\$[./A-Za-z0-9+]{4,88}\$[./A-Za-z0-9+]{22,88}"
        ),
        scrypt.verify,
    ),
    (re.compile(r"\$apr1\$[./A-Za-z0-9]{1,8}\$[./A-Za-z0-9]{22}"), apr_md5_crypt.verify),
)


def is_supported(hash: str) -> bool:
    """Whether `verify` knows this kind of hash."""
    return _checker(hash) is not None


def verify(password: str, hash: str) -> bool:
    """Whether the password fits the hash; False for one that can't be read."""
    check = _checker(hash)
    try:
        return check is not None and check(password, hash)
    except (ValueError, TypeError):  # NUL in the password, or a hash that only looks right
        return False


def _checker(hash: str) -> Callable[[str, str], bool] | None:
    for pattern, check in _KINDS:
        if match := pattern.fullmatch(hash):
            rounds = match.groupdict().get("rounds")
            return check if rounds is None or int(rounds) <= _MOST_ROUNDS else None
    return None
