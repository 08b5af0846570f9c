"""Whether a directory elsewhere may add, change and end users here by SCIM, and what of theirs it brings."""

from typing import Literal

from pydantic import Field

from gateway.config.sections.base import Network, Section

ScimFact = Literal[
    "department",
    "division",
    "organization",
    "costCenter",
    "employeeNumber",
    "title",
    "userType",
    "preferredLanguage",
    "locale",
    "timezone",
]
"""Attributes of a SCIM user (RFC 7643 §4.1, §4.3) that say one thing about somebody."""


class Scim(Section):
    """Users and groups that a directory elsewhere keeps here by SCIM 2.0 (docs/scim.md)."""

    enabled: bool = Field(False, description="take users and groups by SCIM, from programs with a token")
    attributes: dict[str, ScimFact] = Field(
        {},
        description="our attributes of users (for rules and headers), each with the SCIM attribute it comes from",
    )
    invite: bool = Field(False, description="mail new users an invitation; else they sign in by a provider")
    networks: tuple[Network, ...] = Field((), description="where those programs come from; empty = anywhere")
