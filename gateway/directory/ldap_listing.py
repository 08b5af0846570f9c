"""The names of all LDAP users in order, for lists: a server has no order that all servers share.

One read of a hundred thousand names takes many seconds, so it is kept for minutes, and one thread makes it. What it has
read so far can be shown meanwhile.
"""

import bisect
import heapq
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass

from ldap3.utils.conv import escape_filter_chars

from gateway.clock import Clock
from gateway.config.names import user_name
from gateway.config.schema import DirectoryLdap
from gateway.directory.base import Census
from gateway.directory.ldap_entries import STATE, LdapEntry, is_disabled
from gateway.directory.ldap_servers import Incomplete, LdapServers

log = logging.getLogger("gateway.directory")

KEPT, KEPT_TIMES = 30.0, 30.0
"""Seconds for which names are kept, or so many times what reading them took, if that is more."""
MOST_NAMES = 500_000
"""More than these are not listed; each of them may sign in all the same."""
_SEARCHES, _AT_ONCE = 4, 250


@dataclass(frozen=True, slots=True)
class Listed:
    """Names in order, good until then; `raw` has those that the directory spells in another way."""

    until: float
    names: Sequence[str]
    raw: dict[str, str]
    disabled: int
    complete: bool = True


class LdapListing:
    """Lists users by name, a page at a time."""

    def __init__(self, settings: DirectoryLdap, servers: LdapServers, clock: Clock = time.monotonic) -> None:
        """`clock` must not jump."""
        self._settings, self._servers, self._clock = settings, servers, clock
        self._kept: OrderedDict[str, Listed] = OrderedDict()
        self._coming: dict[str, Listed] = {}
        """What is being read, page by page."""
        self._turns: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()

    def census(self, search: str) -> Census:
        """Count them. Raises what a search raises."""
        return census_of(self.listed(search))

    def so_far(self, search: str) -> Listed:
        """Return what is known at this moment; an older list is better than half of a new one."""
        with self._lock:
            nothing = Listed(until=0.0, names=(), raw={}, disabled=0, complete=False)
            return self._kept.get(search) or self._coming.get(search) or nothing

    def entries(
        self, raw: Mapping[str, str], names: Sequence[str], attributes: Sequence[str]
    ) -> Sequence[LdapEntry]:
        """Return the entries of these names, in any order; `raw` is that of their list. Raises what a search raises."""
        wanted = [raw.get(name, name) for name in names]
        found: list[LdapEntry] = []
        for first in range(0, len(wanted), _AT_ONCE):
            some = wanted[first : first + _AT_ONCE]
            any_of = "".join(
                f"({self._settings.attributes.username}={escape_filter_chars(one)})" for one in some
            )
            question = f"(&{self._everyone}(|{any_of}))"
            found += self._servers.search(self._settings.base_dn, question, attributes, limit=2 * _AT_ONCE)
        return found

    def pages(self, search: str, attributes: Sequence[str]) -> Generator[Sequence[LdapEntry], None, None]:
        """Yield all entries as the server gives them. Raises what a search raises."""
        found = 0
        try:
            for page in self._servers.pages(self._settings.base_dn, self._question(search), attributes):
                found += len(page)
                yield page
        except Incomplete:
            _tell_of_part(found)

    @property
    def _everyone(self) -> str:
        return self._settings.user_filter.replace("{username}", "*")

    def _question(self, search: str) -> str:
        keys = self._settings.attributes
        word = f"*{escape_filter_chars(search)}*" if search else "*"
        match = "".join(f"({key}={word})" for key in (keys.username, keys.name, keys.email))
        return f"(&{self._everyone}(|{match}))"

    def listed(self, search: str) -> Listed:
        """Return the list of all, read now unless it was lately. Raises what a search raises."""
        with self._lock:
            turn = self._turns.setdefault(search, threading.Lock())
        with turn:
            with self._lock:
                kept = self._kept.get(search)
            if kept is not None and kept.until >= self._clock():
                return kept
            try:
                kept = self._read(search)
                with self._lock:
                    self._kept[search] = kept
                    self._kept.move_to_end(search)
                    while len(self._kept) > _SEARCHES:
                        self._kept.popitem(last=False)
                return kept
            finally:
                with self._lock:
                    self._coming.pop(search, None)
                    self._turns.pop(search, None)

    def _read(self, search: str) -> Listed:
        key = self._settings.attributes.username
        began, pages = self._clock(), list[list[str]]()
        raw: dict[str, str] = {}
        disabled = 0
        for page in self.pages(search, (key, *STATE)):
            names = []
            for entry in page:
                spelled = entry.text(key)
                name = user_name(spelled)
                names.append(name)
                disabled += is_disabled(entry)
                if name != spelled:
                    raw[name] = spelled
            pages.append(sorted(names))
            if len(pages).bit_count() == 1:  # 1, 2, 4, 8: else the same names would be sorted again and again
                self._show(search, pages, raw, disabled)
            if sum(map(len, pages)) >= MOST_NAMES:
                break
        # Sorting all of them in one step would hold up every other thread.
        ordered = list(heapq.merge(*pages))
        now = self._clock()
        until = now + max(KEPT, KEPT_TIMES * (now - began))
        return Listed(until=until, names=ordered, raw=raw, disabled=disabled)

    def _show(self, search: str, pages: Sequence[Sequence[str]], raw: dict[str, str], disabled: int) -> None:
        names = list(heapq.merge(*pages))
        coming = Listed(until=0.0, names=names, raw=dict(raw), disabled=disabled, complete=False)
        with self._lock:
            self._coming[search] = coming


def names_after(listed: Listed, after: str, limit: int) -> Sequence[str]:
    """The `limit` names of a list after `after`."""
    begin = bisect.bisect_right(listed.names, after)
    return listed.names[begin : begin + limit]


def census_of(listed: Listed) -> Census:
    """Count the users of a list."""
    return Census(len(listed.names), listed.disabled, listed.complete)


def _tell_of_part(count: int) -> None:
    log.warning(
        "the LDAP server gives %d users to directory.bind_dn and no more: lists and counts have only these."
        " Who is not among them can sign in all the same",
        count,
    )
