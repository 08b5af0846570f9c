"""Reads which users are wanted from the address of a page, so that filters and order outlive a link."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from gateway.admin.pages.base import Call
from gateway.errors import RequestRefused
from gateway.i18n.text import N_
from gateway.stores.protocols.user_search import FACTORS, SORTS, UserQuery

FIELDS = ("q", "group", "state", "factors", "idle", "sort", "order")
_STATES: Mapping[str, bool | None] = {"": None, "disabled": True, "enabled": False}
_DAY = 86400.0
BAD_FILTER = N_("This filter can’t be read.")


@dataclass(frozen=True, slots=True)
class UserFilter:
    """A query, and the fields of the address that say so."""

    given: Mapping[str, str]
    query: UserQuery

    @property
    def narrowed(self) -> bool:
        """Whether it asks for more than the search does."""
        return any(self.given[name] for name in ("group", "state", "factors", "idle"))

    def address(self, **more: str) -> str:
        """Return the query string of the same filter, with other fields replaced or added."""
        fields = {**self.given, **more}
        return urlencode({name: value for name, value in fields.items() if value})

    def sorted_by(self, sort: str) -> str:
        """Return the query string that a column's heading leads to: that order, or the other way round."""
        now = self.given["sort"] or "username"
        down = sort == now and not self.query.descending
        return self.address(sort="" if sort == "username" else sort, order="down" if down else "")


def user_filter(call: Call, now: float) -> UserFilter:
    """Read the filter of a request at a time in Unix seconds. Raises RequestRefused for what is none."""
    given = {name: call.query(name).strip() for name in FIELDS}
    idle = given["idle"]
    days = int(idle) if idle.isascii() and idle.isdecimal() and len(idle) < 6 else 0
    known = (
        given["state"] in _STATES
        and given["factors"] in ("", *FACTORS)
        and given["sort"] in ("", *SORTS)
        and given["order"] in ("", "down")
        and (idle in ("", "never") or days > 0)
    )
    if not known:
        raise RequestRefused("no such filter", status=422, public=BAD_FILTER)
    query = UserQuery(
        search=given["q"],
        group=given["group"],
        disabled=_STATES[given["state"]],
        factors=given["factors"],
        idle_since=now - days * _DAY if days else 0.0,
        never=idle == "never",
        sort=given["sort"] or "username",
        descending=given["order"] == "down",
    )
    return UserFilter(given, query)
