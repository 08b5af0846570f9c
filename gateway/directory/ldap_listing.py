"""The names of all LDAP users in order, for lists: a server has no order that all servers share.

One read of a hundred thousand names takes many seconds, so it is kept for minutes, and one thread makes it.
"""

import bisect
import heapq
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
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


class LdapListing:
    """Lists users by name, a page at a time."""

    def __init__(self, settings: DirectoryLdap, servers: LdapServers, clock: Clock = time.monotonic) -> None:
        """`clock` must not jump."""
        self._settings, self._servers, self._clock = settings, servers, clock
        self._kept: OrderedDict[str, Listed] = OrderedDict()
        self._turn = threading.Lock()

    def census(self, search: str) -> Census:
        """Count them. Raises what a search raises."""
        listed = self._listed(search)
        return Census(len(listed.names), listed.disabled)

    def names(self, search: str, after: str, limit: int) -> Sequence[str]:
        """Return the `limit` names after `after`. Raises what a search raises."""
        listed = self._listed(search)
        begin = bisect.bisect_right(listed.names, after)
        return listed.names[begin : begin + limit]

    def entries(self, search: str, names: Sequence[str], attributes: Sequence[str]) -> Sequence[LdapEntry]:
        """Return the entries of these names, in any order. Raises what a search raises."""
        raw = self._listed(search).raw
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

    @property
    def _everyone(self) -> str:
        return self._settings.user_filter.replace("{username}", "*")

    def _listed(self, search: str) -> Listed:
        with self._turn:
            kept = self._kept.get(search)
            if kept is None or kept.until < self._clock():
                kept = self._kept[search] = self._read(search)
                self._kept.move_to_end(search)
                while len(self._kept) > _SEARCHES:
                    self._kept.popitem(last=False)
            return kept

    def _read(self, search: str) -> Listed:
        keys = self._settings.attributes
        word = f"*{escape_filter_chars(search)}*" if search else "*"
        match = "".join(f"({key}={word})" for key in (keys.username, keys.name, keys.email))
        began, count, pages = self._clock(), 0, list[list[str]]()
        raw: dict[str, str] = {}
        disabled = 0
        question = f"(&{self._everyone}(|{match}))"
        try:
            for page in self._servers.pages(self._settings.base_dn, question, (keys.username, *STATE)):
                names = []
                for entry in page:
                    spelled = entry.text(keys.username)
                    name = user_name(spelled)
                    names.append(name)
                    disabled += is_disabled(entry)
                    if name != spelled:
                        raw[name] = spelled
                pages.append(sorted(names))
                count += len(names)
                if count >= MOST_NAMES:
                    break
        except Incomplete:
            log.warning(
                "the LDAP server gives %d users to directory.bind_dn and no more: lists and counts have only these."
                " Who is not among them can sign in all the same",
                count,
            )
        # Sorting all of them in one step would hold up every other thread.
        ordered = list(heapq.merge(*pages))
        now = self._clock()
        until = now + max(KEPT, KEPT_TIMES * (now - began))
        return Listed(until=until, names=ordered, raw=raw, disabled=disabled)
