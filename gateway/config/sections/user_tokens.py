"""Whether users make API tokens for themselves."""

from pydantic import Field

from gateway.config.sections.base import Section
from gateway.config.units import Duration


class UserTokens(Section):
    """Tokens stand for their user on routes with `tokens: true`, and prove one factor (docs/service-accounts.md)."""

    enabled: bool = Field(
        False, description="users make tokens on their account page; false also stops those that exist"
    )
    longest: Duration = Field(
        90 * 86400.0,
        ge=86400,
        description="the longest time for which one is good; users choose 7, 30 or 90 days",
    )
    per_user: int = Field(10, ge=1, le=100, description="how many one user may have")
