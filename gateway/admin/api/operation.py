"""One operation of the API: its place, what it takes and what it gives. Router, document and reference read these."""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from aiohttp import web
from pydantic import BaseModel, ConfigDict

from gateway.admin.actor import Actor
from gateway.portal.request import PortalRequest

READ, WRITE = "admin:read", "admin:write"
M = TypeVar("M", bound=BaseModel)


class Taken(BaseModel):
    """Input of an operation. Unknown fields are refused (no mass assignment)."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Given(BaseModel):
    """Output of an operation."""

    model_config = ConfigDict(extra="forbid", frozen=True, from_attributes=True)


@dataclass(frozen=True, slots=True)
class ApiCall:
    """One call. `args` are the variable parts of the path; `seen` is the version in If-Match, "" without."""

    request: PortalRequest
    actor: Actor
    csrf: str
    args: Mapping[str, str]
    taken: Sequence[Taken]
    seen: str = ""

    def read(self, model: type[M]) -> M:
        """Return the query or body, which was parsed as `model` because the operation says so."""
        return next(one for one in self.taken if isinstance(one, model))


@dataclass(frozen=True, slots=True)
class ApiResponse:
    """What an operation answers with."""

    body: Given | None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


Run = Callable[[ApiCall], Awaitable[ApiResponse | web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing that the API can do, with what it takes and gives. `path` is below the API's version; `media` is what
    a stream is, where the answer is none of ours.
    """

    method: str
    path: str
    name: str
    summary: str
    run: Run
    query: type[Taken] | None = None
    body: type[Taken] | None = None
    gives: type[Given] | None = None
    status: int = 200
    media: tuple[str, ...] = ()
    versioned: bool = False
    refusals: tuple[int, ...] = ()

    @property
    def scope(self) -> str:
        return READ if self.method == "GET" or self.name == "explain" else WRITE

    @property
    def pattern(self) -> re.Pattern[str]:
        return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", self.path))
