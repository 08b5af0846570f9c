"""The files for Envoy, our front door, with the page of ours that it answers with where no worker can be asked."""

from dataclasses import replace

from jinja2 import TemplateError

from gateway.config.schema import Config
from gateway.engines import front_envoy
from gateway.engines.front_place import EnginePlace, StaticPage
from gateway.portal.request import Reader
from gateway.server.composition import pages_of


def engine_files(config: Config, place: EnginePlace) -> dict[str, str]:
    """Return file name -> content, as `front_envoy.front_files`."""
    return front_envoy.front_files(config, replace(place, too_large=_too_large(config)))


def _too_large(config: Config) -> StaticPage | None:
    """The page for a browser with too many cookies, which our own server answers with, too; None without a template."""
    try:
        page = pages_of(config).error(431, reader=Reader(config.branding.language))
    except (TemplateError, TypeError, ValueError):  # of somebody's own in `server.templates`
        return None
    return StaticPage(tuple(page.headers.items()), page.text or "")
