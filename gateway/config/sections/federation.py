"""The section `federation`: how the sign-in page leads to identity providers."""

from typing import Literal

from pydantic import Field

from gateway.config.sections.base import Section


class Federation(Section):
    """How people come to the identity providers (docs/federation.md)."""

    auto: bool = Field(
        False,
        description="go to the only provider at once, or to the one whose `domains` have the `login_hint`; "
        "`/_auth/login?auto=0` shows the page",
    )
    password_form: Literal["shown", "hidden"] = Field(
        "shown", description="`hidden` leaves username and password to `/_auth/login?local=1`"
    )

    @property
    def hides_password(self) -> bool:
        """Whether the password form is left out of the sign-in page."""
        return self.password_form == "hidden"  # noqa: S105 - the name of a form
