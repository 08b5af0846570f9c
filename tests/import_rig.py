"""Imports from other gateways: the command, and the configuration that it prints."""

from click.testing import Result

from gateway.config.loader import read_text
from gateway.model import User

HASH = "$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHRzb21lc2FsdA$bWFkZSB1cCwgbmV2ZXIgdmVyaWZpZWQgaGVyZSEh"


USERS = f"users: {{John: {{password: '{HASH}'}}, mal: {{password: '{HASH}'}}}}\n"


def config_of(result: Result):
    return read_text(result.stdout, "imported.yaml", {}).config


CAROL, OPS, MAL = User("carol@example.com"), User("o", groups=("ops",)), User("mal")
