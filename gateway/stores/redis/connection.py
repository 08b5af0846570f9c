"""The connection to Redis: short time-outs, a bounded pool, one retry on a stale connection, a circuit breaker.

Whatever goes wrong leaves here as StoreUnavailable. A retry may run a command twice after its answer was lost; the
ledger is made so that this can only refuse (a code counts as taken), never let in.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import ExponentialWithJitterBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ReadOnlyError, RedisError
from redis.exceptions import TimeoutError as RedisTimeout

from gateway.clock import Clock
from gateway.errors import ConfigError, Mistake, StoreBusy, StoreUnavailable
from gateway.stores.circuit_breaker import Circuit
from gateway.stores.redis.sentinel_url import SentinelUrl, read_sentinels

log = logging.getLogger("gateway.redis")

CONNECT_SECONDS = 1.0
ANSWER_SECONDS = 1.5
CONNECTIONS = 32
"""Of one worker; more callers wait up to CONNECT_SECONDS."""
_MARK = "auth-gateway:kept"
"""A key that nobody deletes: when it is gone, so is everything."""
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
        self._sentinel, self.client = _client(url)
        self._circuit = Circuit("Redis", clock)
        self._free = asyncio.Semaphore(CONNECTIONS)
        self._marked = False

    async def run(self, command: Callable[[], Awaitable[object]]) -> object:
        """Run a command. Raises StoreUnavailable at once while Redis was found to be away a moment ago, or if it is
        now.
        """
        with self._circuit.call():
            try:
                async with self._turn():
                    return await command()
            except ReadOnlyError as error:  # a replica now: the next connection may find the new master
                await self.client.connection_pool.disconnect()
                raise StoreUnavailable(f"Redis does not take writes: {error}") from error
            except (RedisError, OSError, TimeoutError) as error:
                raise StoreUnavailable(f"Redis does not answer: {_first_line(error)}") from error

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """Wait for a connection in the order of coming: the pools of redis-py can't tell a crowd from an outage."""
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await self._free.acquire()
        except TimeoutError:
            raise StoreBusy("more callers than connections to Redis") from None
        try:
            yield
        finally:
            self._free.release()

    async def ping(self) -> None:
        """Ask whether Redis answers. Raises StoreUnavailable."""
        await self.run(lambda: self.client.ping())

    async def forgot(self) -> bool:
        """Whether Redis lost all that it kept since this was asked last. Raises StoreUnavailable."""
        fresh = bool(await self.run(lambda: self.client.set(_MARK, "1", nx=True)))
        before, self._marked = self._marked, True
        return fresh and before

    async def warn_of_forgetting(self) -> None:
        """Log how this Redis may lose counters and claims: without persistence, or by evicting keys.

        Raises ConfigError for a cluster: counters that belong together could not be changed in one step.
        """
        try:
            info = await self.run(lambda: self.client.info())
        except StoreUnavailable as error:
            log.warning("state is away: %s", error.detail)
            return
        facts = info if isinstance(info, dict) else {}
        if facts.get("redis_mode") == "cluster":
            raise _mistake(
                "is a Redis Cluster, which is not supported", "name one Redis, or several with Sentinel"
            )
        if not facts.get("aof_enabled"):
            log.warning("Redis keeps no append-only file: a restart forgets attempts and used codes")
        if facts.get("maxmemory_policy", "noeviction") != "noeviction":
            log.warning("Redis may evict keys, and with them attempts and used codes: set noeviction")

    async def close(self) -> None:
        """Close the connections, to the sentinels as well."""
        await self.client.aclose(close_connection_pool=True)
        if self._sentinel is not None:
            for sentinel in self._sentinel.sentinels:
                await sentinel.aclose()


def _client(url: str) -> tuple[Sentinel | None, Redis]:
    """The client, and what it asks for the master where the URL names sentinels. Raises ConfigError."""
    common = {
        "max_connections": CONNECTIONS,
        "socket_connect_timeout": CONNECT_SECONDS,
        "socket_timeout": ANSWER_SECONDS,
        "retry": Retry(ExponentialWithJitterBackoff(cap=0.1, base=0.01), 1, (RedisConnectionError,)),
        "retry_on_error": [RedisConnectionError],
        "health_check_interval": 15,
    }
    try:
        scheme = url.partition("://")[0]
        if scheme in ("redis+sentinel", "rediss+sentinel"):
            sentinels = read_sentinels(url)
            return _by_sentinel(sentinels, common)
        return None, Redis(
            connection_pool=BlockingConnectionPool.from_url(url, timeout=CONNECT_SECONDS, **common)
        )
    except ValueError:
        raise _mistake(
            "is not a Redis URL",
            'write "redis://host:6379/0", "rediss://…", "unix:///path"'
            ' or "redis+sentinel://host:26379,host:26379/mymaster"',
        ) from None


def _by_sentinel(named: SentinelUrl, common: dict[str, Any]) -> tuple[Sentinel, Redis]:
    tls = {"ssl": True, **named.tls} if named.tls is not None else {}
    login = {"username": named.username, "password": named.password, "db": named.database}
    sentinel = Sentinel(  # type: ignore[no-untyped-call]  # redis-py has no types for it
        list(named.hosts),
        sentinel_kwargs={
            "socket_connect_timeout": CONNECT_SECONDS,
            "socket_timeout": ANSWER_SECONDS,
            **tls,
        },
        **{key: value for key, value in login.items() if value not in (None, "")},
        **tls,
    )
    return sentinel, sentinel.master_for(named.service, **common)


def _mistake(problem: str, mend: str) -> ConfigError:
    return ConfigError(
        [Mistake(file="configuration", line=0, key="storage.state_url", problem=problem, mend=mend)]
    )


def _first_line(error: BaseException) -> str:
    if isinstance(error, RedisTimeout):
        return "timed out"
    return (str(error).splitlines() or [type(error).__name__])[0]
