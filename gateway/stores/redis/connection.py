"""The connection to Redis: short time-outs, a bounded pool, one retry on a stale connection, a circuit breaker.

Whatever goes wrong leaves here as StoreUnavailable. A retry may run a command twice after its answer was lost; the
ledger is made so that this can only refuse (a code counts as taken), never let in.
"""

import logging
import time
from collections.abc import Awaitable, Callable, Sequence

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialWithJitterBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ReadOnlyError, RedisError
from redis.exceptions import TimeoutError as RedisTimeout

from gateway.clock import Clock
from gateway.errors import ConfigError, Mistake, StoreUnavailable
from gateway.stores.redis.circuit_breaker import Circuit

log = logging.getLogger("gateway.redis")

CONNECT_SECONDS = 1.0
ANSWER_SECONDS = 1.5
CONNECTIONS = 32
"""Of one worker; more callers wait up to CONNECT_SECONDS."""
Key = str | bytes | int | float


class Script:
    """A Lua script: Redis runs it alone, so what it reads can't change before it writes."""

    def __init__(self, link: "RedisLink", source: str) -> None:
        self._link = link
        self._script = link.client.register_script(source)  # sent again when a restarted Redis forgot it

    async def __call__(self, keys: Sequence[str], *args: Key) -> object:
        return await self._link.run(lambda: self._script(keys=list(keys), args=list(args)))


class RedisLink:
    """One per worker. `clock` is for the breaker's pauses."""

    def __init__(self, url: str, clock: Clock = time.monotonic) -> None:
        self.client = Redis(connection_pool=_pool(url))
        self._circuit = Circuit("Redis", clock)

    async def run(self, command: Callable[[], Awaitable[object]]) -> object:
        with self._circuit.call():
            try:
                return await command()
            except ReadOnlyError as error:  # a replica now: the next connection may find the new master
                await self.client.connection_pool.disconnect()
                raise StoreUnavailable(f"Redis does not take writes: {error}") from error
            except (RedisError, OSError, TimeoutError) as error:
                raise StoreUnavailable(f"Redis does not answer: {_first_line(error)}") from error

    async def ping(self) -> None:
        """Raises StoreUnavailable."""
        await self.run(lambda: self.client.ping())

    async def warn_of_forgetting(self) -> None:
        """Log how this Redis may lose counters and claims: without persistence, or by evicting keys."""
        try:
            info = await self.run(lambda: self.client.info())
        except StoreUnavailable as error:
            log.warning("state is away: %s", error.detail)
            return
        facts = info if isinstance(info, dict) else {}
        if not facts.get("aof_enabled"):
            log.warning("Redis keeps no append-only file: a restart forgets attempts and used codes")
        if facts.get("maxmemory_policy", "noeviction") != "noeviction":
            log.warning("Redis may evict keys, and with them attempts and used codes: set noeviction")

    async def close(self) -> None:
        await self.client.aclose(close_connection_pool=True)


def _pool(url: str) -> BlockingConnectionPool:
    retry = Retry(ExponentialWithJitterBackoff(cap=0.1, base=0.01), 1, (RedisConnectionError,))
    try:
        return BlockingConnectionPool.from_url(
            url,
            max_connections=CONNECTIONS,
            timeout=CONNECT_SECONDS,
            socket_connect_timeout=CONNECT_SECONDS,
            socket_timeout=ANSWER_SECONDS,
            retry=retry,
            retry_on_error=[RedisConnectionError],
            health_check_interval=15,
        )
    except ValueError:
        mend = 'write "redis://host:6379/0", "rediss://…" or "unix:///path"'
        mistake = Mistake(
            file="configuration", line=0, key="storage.state_url", problem="is not a Redis URL", mend=mend
        )
        raise ConfigError([mistake]) from None


def _first_line(error: BaseException) -> str:
    if isinstance(error, RedisTimeout):
        return "timed out"
    return (str(error).splitlines() or [type(error).__name__])[0]
