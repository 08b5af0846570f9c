"""Who may pass: the policy of a route, and rules, which are policies for some requests only."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from gateway.config.names import GroupName, UserName
from gateway.config.sections.attestation import KeyModel
from gateway.config.sections.base import Network, Section, Words
from gateway.config.units import Duration

FactorName = Literal[
    "password",
    "federated",
    "email_link",
    "sms",
    "email",
    "totp",
    "webauthn",
    "recovery",
    "approval",
    "bypass",
]
Require = Literal["bypass", "one_factor", "two_factor", "deny"]
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
Hours = Annotated[
    str,
    StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]-(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$"),
    Words("hours such as `08:00-18:00`; `22:00-06:00` runs past midnight"),
]


Country = Annotated[
    str,
    StringConstraints(pattern=r"^!?[A-Z]{2}$"),
    Words("a country's ISO code such as `DE`, or `!DE` for all but it"),
]


class Times(Section):
    """When. All days and hours if nothing is given."""

    days: tuple[Day, ...] = Field((), description="days on which `hours` begin; empty = every day")
    hours: tuple[Hours, ...] = Field((), description="spans of the day, the end excluded; empty = all day")
    timezone: str = Field("UTC", description='whose clock: an IANA name such as "Europe/Berlin"')

    def __bool__(self) -> bool:
        """Whether this says anything."""
        return bool(self.days or self.hours)


class QueryParameter(Section):
    """What a parameter of the query must be like. All that is given must hold."""

    present: bool | None = Field(None, description="whether it is there, with any value")
    one_of: tuple[str, ...] = Field((), description="it is there, with one of these values")
    none_of: tuple[str, ...] = Field((), description="it has none of these values, or is not there")
    matches: str = Field(
        "", description="it is there and this regular expression (RE2) matches the whole value"
    )
    matches_not: str = Field("", description="this one does not, or it is not there")


class Policy(Section):
    """Who may pass. All that is given must hold; anything else is denied."""

    require: Require = Field(
        "two_factor", description="how a caller must be signed in; `bypass` = not at all"
    )
    users: tuple[UserName, ...] = Field((), description="only these users")
    groups: tuple[GroupName, ...] = Field((), description="only members of one of these groups")
    attributes: dict[str, tuple[str, ...]] = Field(
        default_factory=dict,
        description="only users whose attributes have one of these values each, as `department: [ops]`",
    )
    networks: tuple[Network, ...] = Field((), description="only from these networks")
    countries: tuple[Country, ...] = Field(
        (), description="only from these countries, or with `!` from all but these; by `risk.geoip_file`"
    )
    methods: tuple[str, ...] = Field((), description="only these HTTP methods")
    times: Times = Field(Times(), description="only at these times")
    factors: tuple[FactorName, ...] = Field(
        (), description="factors that count; empty = any; `[webauthn]` = phishing-resistant only"
    )
    key_models: tuple[KeyModel, ...] = Field(
        (),
        description="only after a security key of one of these models (AAGUIDs), whose maker vouches for it, was used; "
        '"*" = any such model; needs `webauthn.attestation.metadata_file`',
    )
    machine_suffices: bool = Field(
        False,
        description="an API token or client certificate is enough, also where two factors are asked for",
    )
    max_age: Duration = Field(
        0.0, description="a factor must have been proven within this time, else again; 0s = any age"
    )


class Rule(Policy):
    """A policy for some requests. Rules are asked in order; the first whose criteria all match decides."""

    name: str = Field("", description="for logs and `check --explain`; default is its position")
    hosts: tuple[str, ...] = Field(
        (),
        description='only these hosts; "*.example.com" is any name below, "{user}.example.com" the user\'s own',
    )
    paths: tuple[str, ...] = Field(
        (),
        description="only these paths: `/prefix`, `/a/*/glob` or `~regular expression` (RE2, whole path);"
        " a segment `{user}` is the user's name",
    )
    query: tuple[dict[str, QueryParameter], ...] = Field(
        (),
        description="only these queries: parameters by name, all as they must be; of several entries one is enough",
    )


class AccessRequest(Section):
    """A group that users may ask to join for a while, from the page that refuses them."""

    group: GroupName = Field(description="the group, as rules name it")
    approvers: tuple[GroupName, ...] = Field(
        description="members of these groups decide; nobody decides their own request"
    )
    longest: Duration = Field(8 * 3600.0, ge=60, description="the longest time that can be granted")
