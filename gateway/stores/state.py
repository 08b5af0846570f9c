"""Chooses where short-lived state lives: in Redis where `storage.state_url` names one, else in the database."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.clock import Clock
from gateway.config.schema import Storage
from gateway.errors import ConfigError, Mistake
from gateway.stores.protocols.ledger import Ledger
from gateway.stores.sql.ledger import SqlLedger


class PurgedLedger(Ledger, Protocol):
    """A ledger whose expired rows must be dropped by us; Redis drops them itself."""

    async def purge(self, now: float) -> int:
        """Drop what has expired; returns how many."""
        ...


@dataclass(frozen=True, slots=True)
class State:
    """The ledger, what readyz asks about it, and what is done at the start and the end of a worker."""

    ledger: PurgedLedger
    checks: dict[str, Callable[[], Awaitable[object]]]
    start: Callable[[], Awaitable[None]]
    close: Callable[[], Awaitable[None]]
    forgot: Callable[[], Awaitable[bool]]
    """Whether what was kept was lost since the last call. Raises StoreUnavailable."""


def open_state(storage: Storage, engine: AsyncEngine, clock: Clock) -> State:
    """Connects to nothing yet. Raises ConfigError."""
    if storage.state_url is None:
        return State(
            ledger=SqlLedger(engine, clock), checks={}, start=_nothing, close=_nothing, forgot=_never
        )
    return redis_state(storage.state_url, clock)


def redis_state(url: str, clock: Clock) -> State:
    """Connects to nothing yet. Raises ConfigError without the Redis client, and for what is no URL of one."""
    try:
        from gateway.stores.redis.connection import RedisLink
        from gateway.stores.redis.ledger import RedisLedger  # an optional extra
    except ModuleNotFoundError:
        mend = 'pip install "auth-gateway[redis]"'
        mistake = Mistake(
            file="configuration",
            line=0,
            key="storage.state_url",
            problem="the Redis client is missing",
            mend=mend,
        )
        raise ConfigError([mistake]) from None
    link = RedisLink(url)
    return State(
        ledger=RedisLedger(link, clock),
        checks={"state": link.ping},
        start=link.warn_of_forgetting,
        close=link.close,
        forgot=link.forgot,
    )


async def _nothing() -> None:
    """The database is opened and closed by who made the engine."""


async def _never() -> bool:
    """A database forgets nothing without being away."""
    return False
