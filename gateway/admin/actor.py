"""The administrator (or API token) who acts, as audit log and rules need to know it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Actor:
    """An administrator at work, by hand or by a program. `name` is a username, or `token:NAME` for an API token; `sid`
    is the session's id, "" for a token.
    """

    name: str
    ip: str
    sid: str = ""
