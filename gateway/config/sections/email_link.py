"""Whether people sign in by a link that is mailed to them."""

from pydantic import Field

from gateway.config.sections.base import Section
from gateway.config.units import Duration


class EmailLink(Section):
    """A link by mail as first factor, beside passwords (docs/factors.md)."""

    enabled: bool = Field(False, description="offer it on the sign-in page")
    lifetime: Duration = Field(600.0, description="for how long a link is good, 1m to 1h")
