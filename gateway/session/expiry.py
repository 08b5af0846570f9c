"""When a session ends by itself: after a time without use, and after a time from its beginning whatever the use."""

from gateway.config.schema import Session as SessionConfig
from gateway.model import SessionRecord


class Expiry:
    def __init__(self, config: SessionConfig) -> None:
        self.idle, self.absolute = config.idle_timeout, config.absolute_timeout
        self.noted_after = min(60.0, self.idle / 10)
        """Seconds of use after which the store is told of it: it may be that late in knowing the last one."""

    def alive(self, record: SessionRecord, seen: float, now: float) -> bool:
        """`seen` is when the session was last used."""
        return now < record.expires_at and now - seen < self.idle

    def could_end_at(self, record: SessionRecord) -> float:
        """Until then the session has not expired, as far as this record tells."""
        return min(record.expires_at, record.last_seen + self.idle + self.noted_after)
