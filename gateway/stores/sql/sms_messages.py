"""SMS and calls in SQL: written as they are sent, delivered and billed, and read by administrators."""

from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import Row, Select, case, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.stores.protocols.sms import DELIVERED, FINAL, NOT_TAKEN, Delivery, SmsMessage, SmsRates, SmsSpend
from gateway.stores.sql.engine import reading, writing
from gateway.stores.sql.purge import delete_in_batches
from gateway.stores.sql.schema import sms_messages as table

_FEW = 10
_BATCH = 50


class SqlSmsMessages:
    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def add(self, message: SmsMessage) -> None:
        async with writing(self._engine) as connection:
            await connection.execute(insert(table).values(asdict(message)))

    async def report(self, id: str, delivery: Delivery, at: float) -> SmsMessage | None:
        """One statement, so that of two equal reports one moves the message on."""
        same = table.c.sid.in_(("", delivery.sid)) if delivery.sid else table.c.id == id
        onward = (table.c.id == id) & (table.c.stage < delivery.stage) & same
        values = {
            "status": delivery.status,
            "stage": delivery.stage,
            "updated_at": at,
            "error": delivery.error,
            "problem": delivery.problem,
        }
        if delivery.sid:
            values["sid"] = delivery.sid
        async with writing(self._engine) as connection:
            done = await connection.execute(update(table).where(onward).values(values).returning(table))
            return _message(done.one_or_none())

    async def price(self, id: str, micros: int, *, final: bool = True) -> SmsMessage | None:
        async with writing(self._engine) as connection:
            found = await connection.execute(select(table).where(table.c.id == id).with_for_update())
            before = _message(found.one_or_none())
            if before is None or before.priced:
                return None
            await connection.execute(
                update(table).where(table.c.id == id).values(micros=micros, priced=final)
            )
            return before

    async def of_session(self, session: str) -> Sequence[SmsMessage]:
        return await self._newest(select(table).where(table.c.session == session).limit(_FEW))

    async def verify(self, session: str, at: float) -> None:
        async with writing(self._engine) as connection:
            mine = (table.c.session == session) & (table.c.verified_at == 0)
            await connection.execute(update(table).where(mine).values(verified_at=at))

    async def conversion(self, ranges: Sequence[str], since: float, until: float) -> tuple[int, int]:
        verified = func.sum(case((table.c.verified_at > 0, 1), else_=0))
        # A message that is still on its way says nothing yet, unless its code is back already.
        settled = (table.c.created_at <= until) | (table.c.verified_at > 0)
        # What the provider never took reached nobody: an outage must not make the range look pumped.
        taken = (table.c.sid != "") | table.c.status.not_in(NOT_TAKEN)
        query = select(func.count(), verified).where(
            table.c.range.in_(ranges), table.c.created_at > since, settled, taken
        )
        async with reading(self._engine) as connection:
            sends, right = (await connection.execute(query)).one()
        return int(sends), int(right or 0)

    async def unpriced(self, since: float, until: float) -> Sequence[SmsMessage]:
        taken = (table.c.sid != "") & ~table.c.priced
        span = table.c.created_at.between(since, until)
        return await self._newest(select(table).where(taken, span).limit(_BATCH))

    async def purge(self, before: float) -> int:
        return await delete_in_batches(self._engine, table, table.c.created_at < before)

    # -- for administrators ----------------------------------------------------------------------------------------

    async def spend(self, since: float) -> Sequence[SmsSpend]:
        total = func.sum(table.c.micros)
        by = (table.c.country, table.c.channel, table.c.currency)
        query = select(*by, func.count(), total).where(table.c.created_at >= since).group_by(*by)
        async with reading(self._engine) as connection:
            rows = (await connection.execute(query.order_by(total.desc(), *by))).all()
        return [
            SmsSpend(
                country=row[0], channel=row[1], currency=row[2], messages=int(row[3]), micros=int(row[4])
            )
            for row in rows
        ]

    async def last(self, limit: int, *, username: str | None = None) -> Sequence[SmsMessage]:
        query: Select[tuple[object, ...]] = select(table).limit(limit)
        return await self._newest(query if username is None else query.where(table.c.username == username))

    async def rates(self, since: float) -> Sequence[SmsRates]:
        delivered = func.sum(case((table.c.status.in_(DELIVERED), 1), else_=0))
        final = func.sum(case((table.c.stage >= FINAL, 1), else_=0))
        verified = func.sum(case((table.c.verified_at > 0, 1), else_=0))
        query = select(table.c.country, func.count(), delivered, final, verified)
        query = query.where(table.c.created_at >= since).group_by(table.c.country)
        async with reading(self._engine) as connection:
            rows = (await connection.execute(query.order_by(func.count().desc(), table.c.country))).all()
        return [
            SmsRates(
                country=c,
                messages=int(n),
                delivered=int(d),
                failed=int(f - d),
                open=int(n - f),
                verified=int(v),
            )
            for c, n, d, f, v in rows
        ]

    async def _newest(self, query: Select[tuple[object, ...]]) -> Sequence[SmsMessage]:
        async with reading(self._engine) as connection:
            rows = await connection.execute(query.order_by(table.c.created_at.desc(), table.c.id))
            return [SmsMessage(**row._mapping) for row in rows]


def _message(row: Row[tuple[object, ...]] | None) -> SmsMessage | None:
    return None if row is None else SmsMessage(**row._mapping)
