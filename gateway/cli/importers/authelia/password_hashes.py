"""Authelia's spellings of Argon2id hashes, completed to the one that we verify (the PHC string format)."""

import re

_ARGON2ID = re.compile(r"\$argon2id\$([^$]+)\$([^$]+)\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)")
_DEFAULTS = {"m": "32768", "t": "1", "p": "4"}
"""What its hashing library takes for a parameter that the hash does not name (go-crypt, algorithm/argon2)."""


def complete(hash: str) -> str:
    """The hash with every parameter named, in our order; anything but an Argon2id hash as it is."""
    match = _ARGON2ID.fullmatch(hash)
    if match is None:
        return hash
    named = dict(one.partition("=")[::2] for one in f"{match[1]},{match[2]}".split(","))
    version = named.pop("v", "19")
    if not set(named) <= {*_DEFAULTS, "k"}:
        return hash
    cost = _DEFAULTS | {key: value for key, value in named.items() if key != "k" and value != "0"}
    return f"$argon2id$v={version}$m={cost['m']},t={cost['t']},p={cost['p']}${match[3]}${match[4]}"
