"""Who waits for an answer: a person before a page, or a program that reads statuses and JSON.

The first row that fits decides:

| what the request carries                                    | who waits |
|-------------------------------------------------------------|-----------|
| `Upgrade` or `Sec-WebSocket-Key`                            | program   |
| `X-Requested-With: XMLHttpRequest`                          | program   |
| a method that page loads don't use (not GET, HEAD or POST)  | program   |
| `Sec-Fetch-Mode` other than `navigate`                      | program   |
| `Sec-Fetch-Dest` that is no document or frame, nor empty    | program   |
| `Accept` without `text/html`                                | program   |
| anything else                                               | person    |

Navigating to nothing (`empty`) is a download (`<a download>`), whatever it accepts; a script's fetch has another mode.
Sec-Fetch-* is what browsers say themselves and scripts can't forge (Fetch Metadata, W3C); Accept is the older sign.
"""

from collections.abc import Mapping

_SHOWN = ("document", "iframe", "frame", "embed", "object")
"""Destinations that a person looks at (Fetch standard, "request destination")."""


def wants_html(method: str, headers: Mapping[str, str]) -> bool:
    """Return whether a person waits for the answer (then it is a page), not a program (then it is a
    status and JSON).
    """
    if "Upgrade" in headers or "Sec-WebSocket-Key" in headers:
        return False
    if headers.get("X-Requested-With", "").lower() == "xmlhttprequest":
        return False
    if method not in ("GET", "HEAD", "POST"):
        return False
    if headers.get("Sec-Fetch-Mode", "navigate") != "navigate":
        return False
    dest, accept = headers.get("Sec-Fetch-Dest", "document"), headers.get("Accept", "")
    if dest == "empty":  # of a download, of which Chromium says nothing that it accepts
        return "Sec-Fetch-Mode" in headers and (accept in ("", "*/*") or "text/html" in accept)
    return dest in _SHOWN and "text/html" in accept
