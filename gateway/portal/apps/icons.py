"""The pictures of apps: a file, the app's own favicon, or a letter.

A favicon is fetched from the upstream as anonymous GET, within limits, once for all users, and beside the page that
shows it. What comes from an app is served only if it is a raster image by its first bytes.
"""

import asyncio
import logging
from dataclasses import dataclass
from hashlib import sha256
from xml.sax.saxutils import escape

from gateway.clock import Clock
from gateway.policy.visible_apps import ListedApp
from gateway.portal.services import FetchPicture

log = logging.getLogger("gateway.apps")
KEPT, MISSED = 86400.0, 3600.0
"""Seconds for which a favicon is kept, and for which an app without one is not asked again."""
PLACES = ("/favicon.ico", "/favicon.png", "/apple-touch-icon.png")
_RASTER = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF8", "image/gif"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x00\x00\x01\x00", "image/x-icon"),
)
_COLOURS = ("#2f5bea", "#0f766e", "#9333ea", "#b45309", "#be123c", "#15803d", "#0369a1", "#4d5566")
"""White letters read on all of them (WCAG 2.2 1.4.3)."""


@dataclass(frozen=True, slots=True)
class Picture:
    """An image and its type."""

    body: bytes
    content_type: str


def raster(body: bytes) -> Picture | None:
    """Return the image if its first bytes say that it is one without scripts; what an app says of it does not count."""
    if body[:4] == b"RIFF" and body[8:12] == b"WEBP":
        return Picture(body, "image/webp")
    return next((Picture(body, kind) for start, kind in _RASTER if body.startswith(start)), None)


def configured(app: ListedApp) -> Picture | None:
    """Return the picture of the configuration. It is the operator's, so it may be an SVG."""
    if app.route.app is None or app.route.app.icon is None:
        return None
    try:
        body = app.route.app.icon.read_bytes()
    except OSError as error:
        log.warning("the icon of %s can't be read: %s", app.route.label, error)
        return None
    return Picture(body, "image/svg+xml") if b"<svg" in body[:4096] else raster(body)


def letter(name: str) -> Picture:
    """Return a tile with the first letter of a name, in a colour of its own."""
    first = next((one for one in name if one.isalnum()), "?").upper()
    colour = _COLOURS[sha256(name.encode()).digest()[0] % len(_COLOURS)]
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">'
        f'<rect width="32" height="32" rx="7" fill="{colour}"/>'
        '<text x="16" y="22" text-anchor="middle" font-family="system-ui,sans-serif" font-size="17" '
        f'font-weight="600" fill="#fff">{escape(first)}</text></svg>'
    )
    return Picture(svg.encode(), "image/svg+xml")


class Icons:
    """The pictures of one worker. `fetch` asks an app."""

    def __init__(self, fetch: FetchPicture, clock: Clock) -> None:
        self._fetch, self._clock = fetch, clock
        self._kept: dict[str, tuple[Picture | None, float]] = {}
        self._asking: dict[str, asyncio.Task[Picture | None]] = {}

    async def of(self, app: ListedApp) -> Picture:
        """Return the picture of an app; always one. The first to want a favicon waits for it, a few seconds at most."""
        picture, until = self._kept.get(app.id, (None, 0.0))
        if until > self._clock():
            return picture or letter(app.name)
        if (picture := configured(app)) is None and app.route.upstream is not None:
            picture = await self._favicon(app)
        self._kept[app.id] = (picture, self._clock() + (KEPT if picture else MISSED))
        return picture or letter(app.name)

    async def _favicon(self, app: ListedApp) -> Picture | None:
        """Ask once, however many wait; who stops waiting does not stop the others."""
        task = self._asking.get(app.id)
        if task is None:
            task = self._asking[app.id] = asyncio.create_task(self._ask(app))
            task.add_done_callback(lambda _: self._asking.pop(app.id, None))
        return await asyncio.shield(task)

    async def _ask(self, app: ListedApp) -> Picture | None:
        prefix = "" if app.route.strip_path or app.route.path == "/" else app.route.path
        for place in PLACES:
            body = await self._fetch(app.route, app.target.authority, f"{prefix}{place}")
            if (found := raster(body)) is not None:
                return found
        return None

    async def close(self) -> None:
        """Stop asking."""
        for task in list(self._asking.values()):
            task.cancel()
        await asyncio.gather(*self._asking.values(), return_exceptions=True)
