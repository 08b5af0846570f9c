"""What configuration.yml says beside users and rules: how long sessions last, and what is not taken over."""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from gateway.cli.importers.durations import seconds_of
from gateway.cli.importers.findings import LeftOut, Values, as_list

_TRANSLATED = frozenset(
    {"access_control", "definitions", "session", "server", "storage", "authentication_backend", "totp"}
)
_INACTIVITY, _EXPIRATION = "5m", "1h"
"""Authelia's defaults, shorter than ours."""
_ELSEWHERE = {
    "server.tls": "not read: write the files into server.tls, or let your proxy end TLS",
    "authentication_backend.ldap": "not read: write the directory into `directory:` (docs/directories.md)",
    "definitions.user_attributes": "not read: users have no attributes here; rules that ask for them are refused",
}
_APP_DEFAULTS = {"algorithm": "sha1", "digits": 6, "period": 30}


def times_of(root: Mapping[str, Any], left_out: list[LeftOut]) -> Values:
    """Our idle and absolute time-outs. The first cookie's own times count before the session's, as there."""
    session = root.get("session") or {}
    first: Mapping[str, Any] = next(iter(as_list(session.get("cookies"))), {})
    found: Values = {}
    for theirs, ours, default in (
        ("inactivity", "idle_timeout", _INACTIVITY),
        ("expiration", "absolute_timeout", _EXPIRATION),
    ):
        text = first.get(theirs) or session.get(theirs) or default
        seconds = seconds_of(text)
        if seconds is None:
            left_out.append(
                LeftOut(f"session.{theirs}", f"`{text}` is no time span; {default} is its default")
            )
            seconds = seconds_of(default)
        found[ours] = f"{seconds}s"
    kept = first.get("remember_me") or session.get("remember_me")
    if (
        kept
        and (lasting := seconds_of(kept)) is not None
        and lasting > (seconds_of(found["absolute_timeout"]) or 0)
    ):
        found["keep_signed_in"] = f"{min(lasting, 400 * 86400)}s"  # as long as browsers keep a cookie
    elif "remember_me" in session or "remember_me" in first:
        left_out.append(
            LeftOut(
                "session.remember_me", f"`{kept}`: nobody is asked to stay signed in (session.keep_signed_in)"
            )
        )
    return found


def not_read(root: Mapping[str, Any]) -> Iterator[LeftOut]:
    """Yield the settings of Authelia's configuration that are not taken over, and what to do about each."""
    for key in root:
        if key not in _TRANSLATED:
            yield LeftOut(str(key), "not read: set it up by hand if you need it")
    for path, why in _ELSEWHERE.items():
        section, _, key = path.partition(".")
        if (root.get(section) or {}).get(key):
            yield LeftOut(path, why)
    for key, value in (root.get("totp") or {}).items():
        if key in _APP_DEFAULTS and str(value).lower() != str(_APP_DEFAULTS[key]):
            yield LeftOut(f"totp.{key}", f"apps are enrolled with {_APP_DEFAULTS[key]} here")
    address = str((root.get("server") or {}).get("address") or "")
    path = urlsplit(address if "://" in address else f"tcp://{address}").path.strip("/")
    if path:
        yield LeftOut("server.address", f"below /{path} there; here pages are below server.prefix")
