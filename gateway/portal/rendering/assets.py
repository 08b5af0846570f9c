"""The few files our pages load: style sheet, brand colours, script, logo, favicon. All are held in memory.

Each is addressed by its content hash, so browsers may keep it for ever. Nothing here may
depend on the visitor.
"""

import hashlib
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

from aiohttp import web

from gateway.config.schema import Branding
from gateway.errors import ConfigError, Mistake
from gateway.portal.rendering.contrast import SHAPE, readable, text_on

LIGHT = ("#ffffff", "#f3f4f8", "#e9ecf4")
DARK = ("#0e1117", "#171b24", "#232936")
"""Every surface that style.css puts text on: page, card and field. Brand colours must read on all of them."""

_MARK = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">\
<rect width="32" height="32" rx="9" fill="{color}"/>\
<path fill="{ink}" d="M9 25v-9a7 7 0 0 1 14 0v9z"/>\
<path fill="{color}" d="M16 12.5a2.6 2.6 0 0 0-1.3 4.85L14 21h4l-.7-3.65a2.6 2.6 0 0 0-1.3-4.85z"/></svg>"""

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    # An SVG opened by its own address is a document; it must not run anything.
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
}


@dataclass(frozen=True, slots=True)
class Asset:
    """A file that pages load. Its `digest` is in its address, so that browsers may keep it for ever."""

    body: bytes
    content_type: str
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "digest", hashlib.sha256(self.body).hexdigest()[:16])

    async def respond(self, request: web.Request) -> web.Response:
        """aiohttp handler. An address with the right hash never changes its content (RFC 8246)."""
        current = request.query.get("v") == self.digest
        caching = "public, max-age=31536000, immutable" if current else "no-cache"
        headers = _HEADERS | {"Cache-Control": caching, "ETag": f'"{self.digest}"'}
        if any(tag.value in (self.digest, "*") for tag in request.if_none_match or ()):
            return web.Response(status=304, headers=headers)
        charset = None if self.content_type == "image/png" else "utf-8"
        return web.Response(body=self.body, content_type=self.content_type, charset=charset, headers=headers)


def brand_css(color: str) -> str:
    """Custom properties for style.css. A style sheet, because the CSP refuses style attributes."""

    def shades(surfaces: tuple[str, ...]) -> str:
        return f"--link:{readable(color, surfaces)};--edge:{readable(color, surfaces, SHAPE)}"

    fixed = f"--brand:{color};--on-brand:{text_on(color)}"
    dark = f"@media (prefers-color-scheme:dark){{:root{{{shades(DARK)}}}}}"
    return f":root{{{fixed};{shades(LIGHT)}}}\n{dark}\n"


def _mark(color: str) -> Asset:
    return Asset(_MARK.format(color=color, ink=text_on(color)).encode(), "image/svg+xml")


def _logo(path: Path) -> Asset:
    try:
        body = path.read_bytes()
    except OSError as error:
        raise _bad_logo(path, error.strerror or "cannot be read") from error
    if body.startswith(b"\x89PNG\r\n"):
        return Asset(body, "image/png")
    if b"<svg" in body[:4096]:
        return Asset(body, "image/svg+xml")
    raise _bad_logo(path, "neither SVG nor PNG")


def _bad_logo(path: Path, problem: str) -> ConfigError:
    mistake = Mistake(
        file=str(path),
        line=0,
        key="branding.logo_file",
        problem=problem,
        mend="give the path of an SVG or PNG file",
    )
    return ConfigError([mistake])


def _shipped(name: str, content_type: str, *, package: str = "gateway.portal") -> Asset:
    return Asset(files(package).joinpath("static", name).read_bytes(), content_type)


def load(branding: Branding) -> dict[str, Asset]:
    """All assets by name. Raises ConfigError when the logo can't be used."""
    mark = _mark(branding.color)
    return {
        "style.css": _shipped("style.css", "text/css"),
        "brand.css": Asset(brand_css(branding.color).encode(), "text/css"),
        "app.js": _shipped("app.js", "text/javascript"),
        "tabs.js": _shipped("tabs.js", "text/javascript"),
        "apps.js": _shipped("apps.js", "text/javascript"),
        "approval.js": _shipped("approval.js", "text/javascript"),
        "webauthn.js": _shipped("webauthn.js", "text/javascript"),
        "admin.css": _shipped("admin.css", "text/css", package="gateway.admin"),
        "admin.js": _shipped("admin.js", "text/javascript", package="gateway.admin"),
        "delivery.js": _shipped("delivery.js", "text/javascript"),
        "favicon.svg": mark,
        "logo": _logo(branding.logo_file) if branding.logo_file else mark,
    }
