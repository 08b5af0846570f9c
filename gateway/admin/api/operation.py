"""One thing that the API can do: where it is, what it takes and gives. Router, document and reference read these."""

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
    """What comes in: nothing is guessed, and what we don't know is refused (no mass assignment)."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Given(BaseModel):
    """What goes out."""

    model_config = ConfigDict(extra="forbid", frozen=True, from_attributes=True)


@dataclass(frozen=True, slots=True)
class ApiCall:
    """`args` are the parts of the path; `seen` is the version in If-Match, "" without."""

    ask: PortalRequest
    actor: Actor
    csrf: str
    args: Mapping[str, str]
    taken: Sequence[Taken]
    seen: str = ""

    def read(self, model: type[M]) -> M:
        """The query or body, which is of this model because the operation says so."""
        return next(one for one in self.taken if isinstance(one, model))


@dataclass(frozen=True, slots=True)
class ApiResponse:
    body: Given | None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


Run = Callable[[ApiCall], Awaitable[ApiResponse | web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Operation:
    """`path` is below the API's version; `media` is what a stream is, where the answer is none of ours."""

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
