"""Counters, single-use claims and short-lived values in Redis.

An entry is a hash of `n` (count), `v` (value) and `e` (when it ends, by the gateway's clock). Each method is one
Lua script, so races between replicas have one winner. Redis itself only frees the space, a minute after the end:
the gateways' clocks may differ by that much.
"""

from collections.abc import Sequence

from gateway.clock import Clock
from gateway.stores.protocols.ledger import Hit, Value
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
# ARGV[1] now, ARGV[2] how many of KEYS are counters; then for each its end, the milliseconds to keep, where it is full
# and what is added. A key beyond them is a value's: its end, the milliseconds to keep, and the value.
_HIT_ALL = """
local counters = tonumber(ARGV[2])
local running = {}
for i = 1, counters do
  local entry = redis.call('HMGET', KEYS[i], 'e', 'n')
  running[i] = entry[1] and tonumber(entry[1]) > tonumber(ARGV[1])
  local so_far = running[i] and tonumber(entry[2] or '0') or 0
  if so_far + tonumber(ARGV[4 * i + 2]) > tonumber(ARGV[4 * i + 1]) then return false end
end
local counts = {}
for i = 1, counters do
  if not running[i] then
    redis.call('DEL', KEYS[i])
    redis.call('HSET', KEYS[i], 'e', ARGV[4 * i - 1])
    redis.call('PEXPIRE', KEYS[i], ARGV[4 * i])
  end
  counts[i] = redis.call('HINCRBY', KEYS[i], 'n', ARGV[4 * i + 2])
end
if #KEYS > counters then
  local key, first = KEYS[counters + 1], 4 * counters + 3
  redis.call('DEL', key)
  redis.call('HSET', key, 'e', ARGV[first], 'n', 0, 'v', ARGV[first + 2])
  redis.call('PEXPIRE', key, ARGV[first + 1])
end
return counts
"""
# ARGV[1] now, ARGV[2] how many of KEYS get a hit back; the others are dropped
_SETTLE = """
for i = 1, #KEYS do
  if i > tonumber(ARGV[2]) then
    redis.call('DEL', KEYS[i])
  else
    local entry = redis.call('HMGET', KEYS[i], 'e', 'n')
    local running = entry[1] and tonumber(entry[1]) > tonumber(ARGV[1])
    if running and tonumber(entry[2] or '0') > 0 then redis.call('HINCRBY', KEYS[i], 'n', -1) end
  end
end
"""
# ARGV[2] the value that KEYS[1] must have; all KEYS go with it
_CONSUME = f"""{_ENDED}
if ended or redis.call('HGET', KEYS[1], 'v') ~= ARGV[2] then return 0 end
redis.call('DEL', unpack(KEYS))
return 1
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
        self._hit_all, self._settle = Script(link, _HIT_ALL), Script(link, _SETTLE)
        self._consume = Script(link, _CONSUME)

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

    async def consume(self, key: str, value: bytes, *counters: str) -> bool:
        return await self._consume([*map(_name, (key, *counters))], repr(self._clock()), value) == 1

    async def hit_all(self, hits: Sequence[Hit], keep: Value | None = None) -> Sequence[int] | None:
        keys = [_name(hit.key) for hit in hits]
        words: list[str | int | bytes] = [repr(self._clock()), len(hits)]
        for hit in hits:
            words += [*self._times(hit.window)[1:], hit.limit, hit.amount]
        if keep is not None:
            keys.append(_name(keep.key))
            words += [*self._times(keep.ttl)[1:], keep.value]
        found = await self._hit_all(keys, *words)
        return [int(count) for count in found] if isinstance(found, list) else None

    async def settle(self, back: Sequence[str], drop: Sequence[str]) -> None:
        await self._settle([*map(_name, (*back, *drop))], repr(self._clock()), len(back))

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
