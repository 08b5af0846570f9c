"""The keys `redirect` and `respond` of a route: what it does instead of asking an app."""

from typing import Literal

from pydantic import Field

from gateway.config.sections.base import Section


class Redirect(Section):
    """Instead of an app: everybody who may pass is sent elsewhere."""

    to: str = Field(
        description='"https://wiki.example.com", with a path if need be; or a path of the same host'
    )
    status: Literal[301, 302, 303, 307, 308] = Field(
        302, description="301 and 308 are for good; 307 and 308 repeat the method and the body"
    )
    keep_path: bool = Field(False, description="append the path behind the route's own, and the query")


class Respond(Section):
    """Instead of an app: this answer, such as a robots.txt or a security.txt."""

    status: int = Field(200, ge=200, le=599, description="of the answer; for 3xx there is `redirect`")
    body: str = Field("", description="as it is; YAML's `|` keeps its lines")
    content_type: str = Field("text/plain; charset=utf-8", description="of the body")
