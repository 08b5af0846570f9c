"""How a route is shown on the page of a user's apps."""

from pathlib import Path

from pydantic import Field

from gateway.config.sections.base import Section


class App(Section):
    """How a route is shown among the apps of whoever may open it (docs/apps.md)."""

    name: str = Field("", description="what people call the app; default is the route's name, or its host")
    description: str = Field("", description="one line about it")
    icon: Path | None = Field(
        None, description="SVG, PNG, WebP, JPEG, GIF or ICO; none = the app's own favicon, or a letter"
    )
    group: str = Field("", description="the heading under which it stands")
    url: str = Field(
        "",
        description="where it opens, a URL or a path on the route's host; default is the route's own address. Routes "
        "with a wildcard in `host` need one",
    )
    hidden: bool = Field(False, description="not shown, and not named at the sign-in")
