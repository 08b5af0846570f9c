"""Host and path patterns. Pure; a path is matched in the canonical spelling of `request/target.py`.

Regular expressions run on RE2, which is linear in the length of the path, so that no pattern can be made to backtrack
for ever by the path that a client sends.
"""

import re
from collections.abc import Callable
from functools import lru_cache, partial
from urllib.parse import unquote

import re2

PathTest = Callable[[str], bool]
_OPTIONS = re2.Options()
_OPTIONS.log_errors = False
_OPTIONS.dot_nl = True  # nobody writes `.` to mean "but for a line feed", which a query may have
_LONGEST_PATTERN = 1000
_GLOB = re.compile(r"\*\*|[*?]|[^*?]+")
USER = "{user}"
"""Stands in a rule's path for a segment, in its host for what is in front, that is the name of who asks."""


def host_matches(pattern: str, host: str) -> bool:
    """Whether a host fits: "*" is any host, "*.example.com" any name below example.com (not itself)."""
    pattern = pattern.lower()
    if pattern == "*":
        return True
    if pattern.startswith("*."):
        return host.endswith(pattern[1:]) and len(host) > len(pattern) - 1
    return host == pattern


def below(prefix: str) -> tuple[str, ...]:
    """Return how paths below `prefix` begin: what `path_matches` takes beside `prefix` itself."""
    return (prefix if prefix.endswith("/") else f"{prefix}/", f"{prefix};")


def path_matches(prefix: str, path: str) -> bool:
    """Whether a path is `prefix` or below it, by whole segments: "/app" covers "/app" and "/app/x" but
    not "/apple".
    """
    return path.startswith(prefix) and (prefix.endswith("/") or path[len(prefix) :][:1] in ("", "/", ";"))


@lru_cache(maxsize=4096)  # patterns come from the configuration alone
def path_test(pattern: str) -> PathTest:
    """Return the test that a rule's path stands for: "/prefix", "/a/*/glob" or "~regular expression".

    Globs and expressions must match the whole path. `*` and `?` stop at a slash, `**` does not. Raises ValueError for
    anything else.
    """
    if pattern.startswith("~"):
        return expression(pattern[1:])
    if not pattern.startswith("/"):
        raise ValueError("starts with neither `/` nor `~`")
    if "*" in pattern or "?" in pattern:
        return expression(_glob_text(pattern))
    return partial(path_matches, pattern)


@lru_cache(maxsize=4096)
def glob_test(pattern: str) -> PathTest:
    """Return the test for a glob that a whole text must match: `*` and `?` stop at a slash, `**` does not.

    Raises ValueError for one that is too long.
    """
    return expression(_glob_text(pattern))


def host_holds(pattern: str, host: str, user: str | None) -> bool:
    """Whether a rule's host pattern holds. `user` None is somebody not known yet, who may turn out to be anybody."""
    if not pattern.startswith(USER):
        return host_matches(pattern, host)
    below = pattern.removeprefix(USER).lower()
    return host_matches(f"*{below}", host) and (user is None or host == user + below)


def path_holds(pattern: str, path: str, user: str | None) -> bool:
    """Whether a rule's path pattern holds; `user` as for `host_holds`.

    Usernames are lower case and so must be the segment; escapes make no difference.
    """
    if USER not in pattern or not asks_user(pattern):
        return path_test(pattern)(path)
    segment = user_segment(pattern)(path)
    return segment is not None and (user is None or _decoded(segment) == user)


def asks_user(pattern: str) -> bool:
    """Whether a pattern holds `{user}`."""
    return USER in pattern and not pattern.startswith("~")


@lru_cache(maxsize=4096)
def user_segment(pattern: str) -> Callable[[str], str | None]:
    """Return a function that finds the segment of a path which must be the user's name, None in paths that don't fit.

    Before it, each part of the pattern is one segment, so no path has two places where the name might stand. Raises
    ValueError for a pattern without exactly one such place.
    """
    before, _, after = pattern.partition(USER)
    if USER in after or not before.endswith("/") or after[:1] not in ("", "/") or "**" in before:
        raise ValueError("must have `{user}` once, as a whole segment and not behind `**`")
    glob = any(sign in pattern for sign in "*?")
    end = "" if glob else ".*" if after.endswith("/") else "(?:[/;].*)?"
    text = f"{_glob_text(before)}([^/;]+){_glob_text(after)}{end}"
    compiled = re2.compile(text, _OPTIONS)
    return lambda path: match[1] if (match := compiled.fullmatch(path)) else None


def _decoded(segment: str) -> str | None:
    """None for what is no UTF-8: nobody's name."""
    try:
        return unquote(segment, errors="strict")
    except UnicodeDecodeError:
        return None


def _glob_text(text: str) -> str:
    return "".join(map(_glob_part, _GLOB.findall(text)))


def _glob_part(part: str) -> str:
    return {"**": ".*", "*": "[^/]*", "?": "[^/]"}.get(part) or re2.escape(part)


@lru_cache(maxsize=4096)
def expression(text: str) -> PathTest:
    """Return the test for a regular expression of the whole text. Raises ValueError if it is malformed."""
    if len(text) > _LONGEST_PATTERN:
        raise ValueError(f"is longer than {_LONGEST_PATTERN} characters")
    try:
        compiled = re2.compile(text, _OPTIONS)
    except re2.error as error:
        reason = error.args[0].decode() if isinstance(error.args[0], bytes) else str(error)
        raise ValueError(f"is not a regular expression (RE2): {reason}") from None
    return lambda path: compiled.fullmatch(path) is not None
