"""Spells keys of the ledger as they are stored."""

import hashlib


def digest(key: str) -> str:
    """Return the digest under which a key is stored: it bounds what visitors typed, and keeps phone numbers off the
    disk.
    """
    return hashlib.blake2b(key.encode(errors="surrogatepass"), digest_size=32).hexdigest()
