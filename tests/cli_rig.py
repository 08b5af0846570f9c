"""What tests of the commands share: a configuration, a password, a user."""

from collections.abc import Callable
from typing import TypeVar

from click.testing import Result

T = TypeVar("T")


PASSWORD = "correct horse battery"


CONFIG = """
storage: {{url: "sqlite:///{folder}/gateway.db"}}
session: {{keys_file: "{folder}/session.keys"}}
"""


def add(command: Callable[..., Result], username: str, *options: str) -> Result:
    return command("user", "add", username, "--password-stdin", *options, input=f"{PASSWORD}\n")
