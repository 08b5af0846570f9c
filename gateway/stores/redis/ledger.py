"""Counters, single-use claims and short-lived values in Redis.

An entry is a hash of `n` (count), `v` (value) and `e` (when it ends, by the gateway's clock). Each method is one
Lua script, so races between replicas have one winner. Redis itself only frees the space, a minute after the end:
the gateways' clocks may differ by that much.
"""

from collections.abc import Sequence

from gateway.clock import Clock
from gateway.stores.protocols.ledger import Hit
from gateway.stores.redis.connection import RedisLink, Script
from gateway.stores.sql.ledger import digest

SLACK = 60.0
"""Seconds that Redis keeps an entry beyond its end."""

# KEYS[1] entry; ARGV[1] now. Times are passed on as the texts that came in: Lua would print fewer digits.
_ENDED = """
local ends = redis.call('HGET', KEYS[1], 'e')
local ended = not ends or tonumber(ends) <= tonumber(ARGV[1])
"""
# ARGV[2] end, ARGV[3] milliseconds to keep
_HIT = f"""{_ENDED}
if ended then
  redis.call('DEL', KEYS[1])
  redis.call('HSET', KEYS[1], 'e', ARGV[2])
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
end
return redis.call('HINCRBY', KEYS[1], 'n', ARGV[4])
"""
# ARGV[1] now; then for each of KEYS its end, the milliseconds to keep, and where it is full
_HIT_ALL = """
local running = {}
for i = 1, #KEYS do
  local entry = redis.call('HMGET', KEYS[i], 'e', 'n')
  running[i] = entry[1] and tonumber(entry[1]) > tonumber(ARGV[1])
  if running[i] and tonumber(entry[2] or '0') >= tonumber(ARGV[3 * i + 1]) then return false end
end
local counts = {}
for i = 1, #KEYS do
  if not running[i] then
    redis.call('DEL', KEYS[i])
    redis.call('HSET', KEYS[i], 'e', ARGV[3 * i - 1])
    redis.call('PEXPIRE', KEYS[i], ARGV[3 * i])
  end
  counts[i] = redis.call('HINCRBY', KEYS[i], 'n', 1)
end
return counts
"""
_CLAIM = f"""{_ENDED}
if not ended then return 0 end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'e', ARGV[2], 'n', 1)
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
"""
_PUT = """
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'e', ARGV[2], 'n', 0, 'v', ARGV[4])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
"""
_READ = f"""{_ENDED}
if ended then return false end
return redis.call('HMGET', KEYS[1], 'n', 'e', 'v')
"""
_TAKE = f"""{_ENDED}
local value = redis.call('HGET', KEYS[1], 'v')
if ended or not value then return false end
redis.call('DEL', KEYS[1])
return value
"""


class RedisLedger:
    """The ledger in Redis. Each act is one script, which Redis runs as a whole."""

    def __init__(self, link: RedisLink, clock: Clock) -> None:
        self._link, self._clock = link, clock
        self._hit, self._claim, self._put = Script(link, _HIT), Script(link, _CLAIM), Script(link, _PUT)
        self._read, self._take = Script(link, _READ), Script(link, _TAKE)
        self._hit_all = Script(link, _HIT_ALL)

    async def hit(self, key: str, window: float, amount: int = 1) -> int:
        return int(str(await self._hit([_name(key)], *self._times(window), amount)))

    async def count(self, key: str) -> tuple[int, float]:
        found = await self._read([_name(key)], repr(self._clock()))
        if not isinstance(found, list):
            return 0, 0.0
        return int(found[0] or 0), float(found[1]) - self._clock()

    async def claim_once(self, key: str, ttl: float) -> bool:
        return await self._claim([_name(key)], *self._times(ttl)) == 1

    async def put(self, key: str, value: bytes, ttl: float) -> None:
        await self._put([_name(key)], *self._times(ttl), value)

    async def get(self, key: str) -> bytes | None:
        found = await self._read([_name(key)], repr(self._clock()))
        return found[2] if isinstance(found, list) else None

    async def take(self, key: str) -> bytes | None:
        taken = await self._take([_name(key)], repr(self._clock()))
        return taken if isinstance(taken, bytes) else None

    async def hit_all(self, hits: Sequence[Hit]) -> Sequence[int] | None:
        limits = [word for hit in hits for word in (*self._times(hit.window)[1:], hit.limit)]
        found = await self._hit_all([_name(hit.key) for hit in hits], repr(self._clock()), *limits)
        return [int(count) for count in found] if isinstance(found, list) else None

    async def delete(self, *keys: str) -> None:
        await self._link.run(lambda: self._link.client.delete(*map(_name, keys)))

    async def purge(self, now: float) -> int:
        """Redis drops what has expired by itself."""
        return 0

    def _times(self, lifetime: float) -> tuple[str, str, int]:
        now = self._clock()
        return repr(now), repr(now + lifetime), max(1, int((lifetime + SLACK) * 1000))


def _name(key: str) -> str:
    return f"auth-gateway:ledger:{digest(key)}"
