"""Further root domains: their hosts sign in at the portal and look as they like (docs/domains.md)."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, StringConstraints

from gateway.config.sections.base import Section, Words

Color = Annotated[
    str, StringConstraints(pattern=r"^#[0-9a-fA-F]{6}$"), Words('a colour in quotes such as `"#2f5bea"`')
]


class DomainBranding(Section):
    """How pages look at a further domain, where it differs from `branding`."""

    name: str | None = Field(None, description="shown on every page")
    logo_file: Path | None = Field(None, description="SVG or PNG")
    color: Color | None = Field(None, description="buttons and links")
    support: str | None = Field(None, description="one line below the form: whom to ask")


class Domain(Section):
    """A further root domain whose hosts sign in at the portal."""

    domain: str = Field(
        description="such as `other.org`; it and all hosts below it sign in at `server.public_url`"
    )
    hosts: tuple[str, ...] = Field(
        (),
        description="hosts that get the session although no route names them: names, or patterns such as "
        "`*.team.other.org`, below which every name in DNS must be yours",
    )
    branding: DomainBranding = Field(
        DomainBranding(), description="what differs from `branding`, also at the portal on the way there"
    )
