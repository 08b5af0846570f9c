"""The models of what the API takes and gives, from which its OpenAPI document is made."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from gateway.admin.api.operation import Given, Taken

Line = Annotated[str, StringConstraints(max_length=300, pattern=r"^[^\x00]*$")]
Username = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[^\x00]*$")]
Limit = Annotated[int, Field(ge=1, le=500)]
Seconds = Annotated[float, Field(ge=0, le=1e11, allow_inf_nan=False)]
RowId = Annotated[int, Field(ge=0, le=2**53)]


class Nothing(Taken):
    pass


class UsersQuery(Taken):
    search: Line = Field("", description="part of a username, name, mail address or group")
    cursor: Line = Field("", description="`next` of the page before")
    limit: Limit = 50


class NewUser(Taken):
    username: Username
    name: Line = ""
    email: Line = ""
    phone: Line = ""
    groups: list[Line] = Field(default_factory=list, max_length=200)
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
    disabled: bool | None = None


class SessionsQuery(Taken):
    username: Line = ""
    cursor: Line = ""
    limit: Limit = 100


class AuditFilter(Taken):
    user: Line = ""
    event: Line = Field("", description="names of events, separated by commas")
    ip: Line = Field("", description="an address, or its beginning")
    since: Seconds = Field(0.0, description="Unix seconds")
    until: Seconds = 0.0
    text: Line = ""


class AuditPageQuery(AuditFilter):
    cursor: RowId = 0
    limit: Limit = 100


class AuditExportQuery(AuditFilter):
    format: Literal["csv", "ndjson"] = "ndjson"


class Lift(Taken):
    name: Username = Field(description="an address, a username, or another `name` of the list")


class ExplainQuestion(Taken):
    url: Line
    method: Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{1,20}$")] = "GET"
    ip: Line = "127.0.0.1"
    username: Line = Field("", description="nobody if empty")
    factors: list[Literal["password", "sms", "email", "totp", "webauthn", "recovery"]] = Field(
        default_factory=list, max_length=6, description="proven just now, as we are to suppose"
    )


# -- answers -----------------------------------------------------------------------------------------------------------


class Me(Given):
    name: str
    csrf_token: str = Field(description="for the header X-CSRF-Token; empty for API tokens")


class UserOut(Given):
    username: str
    name: str
    email: str
    phone: str
    groups: list[str]
    disabled: bool
    has_password: bool
    created_at: float
    version: str = Field(description="also the ETag; send it as If-Match to change nothing unseen")
    declared_in: str = Field(description='file and line, such as "users.yaml:12"; empty if kept here')


class UsersPage(Given):
    items: list[UserOut]
    next: str | None


class LinkOut(Given):
    kind: Literal["invitation", "reset"]
    url: str
    mailed: bool


class NewUserOut(Given):
    user: UserOut
    link: LinkOut | None


class FactorOut(Given):
    id: str
    kind: str
    name: str
    detail: str
    created_at: float
    last_used_at: float


class FactorsOut(Given):
    items: list[FactorOut]


class DeviceOut(Given):
    id: str
    browser: str
    ip: str
    created_at: float
    last_used_at: float


class DevicesOut(Given):
    items: list[DeviceOut]


class Count(Given):
    count: int


class SessionOut(Given):
    id: str
    username: str
    browser: str
    ip: str
    country: str
    factors: list[str]
    created_at: float
    last_seen: float
    expires_at: float
    own: bool


class SessionsPage(Given):
    items: list[SessionOut]
    next: str | None


class AuditOut(Given):
    id: int
    at: float
    event: str
    user: str
    ip: str
    data: dict[str, object]


class AuditPage(Given):
    items: list[AuditOut]
    next: int | None


class UpstreamOut(Given):
    url: str
    healthy: bool
    error: str


class RouteOut(Given):
    route: str
    host: str
    path: str
    declared_in: str
    rules: list[str]
    upstreams: list[UpstreamOut]
    requests: int
    refused: int
    failed: int
    p50: float | None
    p99: float | None


class RoutesOut(Given):
    items: list[RouteOut]


class CriterionOut(Given):
    criterion: str
    wants: str
    has: str
    holds: bool


class RuleOut(Given):
    rule: str
    require: str
    decides: bool
    answers: list[CriterionOut]


class Explained(Given):
    route: str
    verdict: Literal["allow", "sign_in", "step_up", "deny", "refused"]
    rule: str
    reason: str
    rules: list[RuleOut]


class CapOut(Given):
    channel: str
    spent: float
    cap: float


class SpendOut(Given):
    country: str
    channel: str
    currency: str
    messages: int
    micros: int


class RatesOut(Given):
    country: str
    messages: int
    delivered: int
    failed: int
    open: int
    verified: int


class SmsOut(Given):
    currency: str
    caps: list[CapOut]
    today: list[SpendOut]
    rates: list[RatesOut]


class BlockOut(Given):
    about: Literal["user", "address", "number", "mail"]
    name: str = Field(description="in part for numbers and mail; a fingerprint where no user has the name")
    what: str
    is_lock: bool = Field(description="too many failures in a row: a year, unless it is lifted")
    budget: str
    count: int
    limit: int
    ends_at: float


class BlockedOut(Given):
    items: list[BlockOut]


class OverviewOut(Given):
    version: str
    users: int
    disabled: int
    sessions: int
    logins: int
    failures: int
    codes: int
    unsent: int


class ApiProblem(Given):
    """A problem+json answer (RFC 9457 §3)."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    request_id: str
    errors: list[str] = Field(default_factory=list, description="what is wrong with query or body")
