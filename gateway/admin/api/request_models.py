"""The models of what the API takes: queries and bodies. Its OpenAPI document is made from them."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from gateway.admin.api.operation import Taken

Line = Annotated[str, StringConstraints(max_length=300, pattern=r"^[^\x00]*$")]
Username = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[^\x00]*$")]
Limit = Annotated[int, Field(ge=1, le=500)]
Seconds = Annotated[float, Field(ge=0, le=1e11, allow_inf_nan=False)]
RowId = Annotated[int, Field(ge=0, le=2**53)]


class Nothing(Taken):
    """No body and no query."""


class UsersQuery(Taken):
    """Which users to list."""

    search: Line = Field("", description="part of a username, name, mail address or group")
    cursor: Line = Field("", description="`next` of the page before")
    limit: Limit = 50


Attributes = Annotated[
    dict[Line, Annotated[list[Line], Field(max_length=100)]],
    Field(max_length=100, description="facts for rules and headers: name -> values"),
]


class NewUser(Taken):
    """A user to be added."""

    username: Username
    name: Line = ""
    email: Line = ""
    phone: Line = ""
    groups: list[Line] = Field(default_factory=list, max_length=200)
    attributes: Attributes = Field(default_factory=dict)
    password: Annotated[str, StringConstraints(max_length=1024)] | None = Field(
        None, description="null: nobody can sign in until an invitation is accepted"
    )
    invite: bool = Field(False, description="mail an invitation and give its link; excludes `password`")


class UserPatch(Taken):
    """Fields to change; those that are left out stay."""

    name: Line | None = None
    email: Line | None = None
    phone: Line | None = None
    groups: list[Line] | None = Field(None, max_length=200)
    attributes: Attributes | None = Field(None, description="all of them; a name that is left out goes")
    disabled: bool | None = None


class SessionsQuery(Taken):
    """Which sessions to list."""

    username: Line = ""
    cursor: Line = ""
    limit: Limit = 100


class AuditFilter(Taken):
    """Which events to look for; what is left out is not asked about."""

    user: Line = ""
    event: Line = Field("", description="names of events, separated by commas")
    ip: Line = Field("", description="an address, or its beginning")
    since: Seconds = Field(0.0, description="Unix seconds")
    until: Seconds = 0.0
    text: Line = ""


class AuditPageQuery(AuditFilter):
    """Which page of the events that were found."""

    cursor: RowId = 0
    limit: Limit = 100


class AuditExportQuery(AuditFilter):
    """In which form to export the events that were found."""

    format: Literal["csv", "ndjson"] = "ndjson"


class Lift(Taken):
    """Whose waits to lift."""

    name: Username = Field(description="an address, a username, or another `name` of the list")


class ExplainQuestion(Taken):
    """A request that nobody has made, to be judged by the rules."""

    url: Line
    method: Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{1,20}$")] = "GET"
    ip: Line = "127.0.0.1"
    username: Line = Field("", description="nobody if empty")
    factors: list[Literal["password", "sms", "email", "totp", "webauthn", "recovery"]] = Field(
        default_factory=list, max_length=6, description="proven just now, as we are to suppose"
    )
