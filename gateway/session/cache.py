"""The sessions that this worker has read, by cookie value, so that most requests are answered without I/O.

An entry goes as soon as a change of its session or user is heard of, and the oldest when there are too many.
"""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass

from gateway.config.schema import Session as SessionConfig
from gateway.model import Principal, SessionRecord
from gateway.stores.protocols.core import Change

_SIZE = 50_000


@dataclass(slots=True)
class CachedSession:
    """One session as it was read. Times are Unix times by our clock."""

    principal: Principal
    csrf: str
    read_at: float
    seen_at: float
    touched_at: float
    """When the store was last told that the session is in use."""
    host: str = ""
    """The only host where the cookie counts (`Content.host`)."""

    @property
    def distrusted(self) -> bool:
        """Whether it must be read again before it counts."""
        return self.read_at == float("-inf")


class Expiry:
    """Knows when a session expires: after a time without use, and at a fixed time after its beginning."""

    def __init__(self, config: SessionConfig) -> None:
        self.idle, self.absolute = config.idle_timeout, config.absolute_timeout
        self.noted_after = min(60.0, self.idle / 10)
        """Seconds of use after which the store is told of it: it may be that late in knowing the last one."""

    def alive(self, record: SessionRecord, seen: float, now: float) -> bool:
        """Tell whether a session that was last used at `seen` is good at `now` (Unix seconds)."""
        return now < record.expires_at and now - seen < self.idle

    def could_end_at(self, record: SessionRecord) -> float:
        """Return the Unix time until which the session has not expired, as far as this record tells."""
        return min(record.expires_at, record.last_seen + self.idle + self.noted_after)


class SessionCache:
    """Cookie value -> session, at most 50,000, the oldest first to go."""

    def __init__(self) -> None:
        self._entries: OrderedDict[str, CachedSession] = OrderedDict()
        # The cookie values of each session and each user: a change must cost the same however many are signed in.
        self._of_session: dict[str, set[str]] = {}
        self._of_user: dict[str, set[str]] = {}
        self.heard = 0
        """Counts changes: what was read before one came may be out of date already and is not remembered."""

    def get(self, value: str) -> CachedSession | None:
        """Return what is remembered of a cookie value; the caller still asks `Expiry`."""
        return self._entries.get(value)

    def put(self, value: str, entry: CachedSession, heard: int) -> bool:
        """Remember what was read while `heard` changes were known; False, and nothing kept, if another came
        meanwhile.
        """
        if heard != self.heard:
            return False
        self.drop(value)
        self._entries[value] = entry
        session = entry.principal.session
        self._of_session.setdefault(session.sid, set()).add(value)
        self._of_user.setdefault(session.username, set()).add(value)
        if len(self._entries) > _SIZE:
            self.drop(next(iter(self._entries)))
        return True

    def drop(self, value: str) -> None:
        """Forget one cookie value."""
        entry = self._entries.pop(value, None)
        if entry is not None:
            session = entry.principal.session
            _remove(self._of_session, session.sid, value)
            _remove(self._of_user, session.username, value)

    def forget(self, change: Change) -> None:
        """Drop the entries that a change of a session or user makes out of date."""
        self.heard += 1
        of = self._of_session if change.kind == "session" else self._of_user
        for value in tuple(of.get(change.subject, ())):
            self.drop(value)

    def distrust(self) -> None:
        """Have every session read again at its next use, since changes may have been missed."""
        self.heard += 1
        for entry in self._entries.values():
            entry.read_at = float("-inf")

    def sids_of(self, username: str) -> Iterable[str]:
        """Return the ids of this user's sessions that are remembered here."""
        return [self._entries[value].principal.session.sid for value in self._of_user.get(username, ())]


def _remove(index: dict[str, set[str]], key: str, value: str) -> None:
    index[key].discard(value)
    if not index[key]:
        del index[key]
