"""SMS and calls in SQL: written as they are sent, delivered and billed, and read by administrators.

Also blocked ranges of numbers, and changes of users' numbers; those are noted in the transaction that changes a user.
"""

from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import ColumnElement, Row, Select, case, delete, distinct, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from gateway.stores.protocols.sms import (
    DELIVERED,
    FINAL,
    NOT_TAKEN,
    Delivery,
    PhoneChange,
    SmsBlock,
    SmsCost,
    SmsMessage,
    SmsRates,
    SmsSpend,
    SmsVendor,
)
from gateway.stores.sql.purge import delete_in_batches
from gateway.stores.sql.schema import phone_changes, sms_blocks, sms_messages
from gateway.stores.sql.transactions import reading, writing, writing_once
from gateway.stores.sql.upserts import upsert

_FEW = 10
_SILENT = 3
"""Messages to one number without an answer that count for its range."""
_BATCH = 50


class SqlSmsMessages:
    """Messages, their deliveries and costs in the database."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def add(self, message: SmsMessage) -> None:
        async with writing_once(self._engine) as connection:
            await connection.execute(insert(sms_messages), asdict(message))

    async def report(self, id: str, delivery: Delivery, at: float) -> SmsMessage | None:
        """One statement, so that of two equal reports one moves the message on."""
        same = sms_messages.c.sid.in_(("", delivery.sid)) if delivery.sid else sms_messages.c.id == id
        onward = (sms_messages.c.id == id) & (sms_messages.c.stage < delivery.stage) & same
        values = {
            "status": delivery.status,
            "stage": delivery.stage,
            "updated_at": at,
            "error": delivery.error,
            "problem": delivery.problem,
        }
        if delivery.sid:
            values["sid"] = delivery.sid
        async with writing_once(self._engine) as connection:
            done = await connection.execute(
                update(sms_messages).where(onward).values(values).returning(sms_messages)
            )
            return _message(done.one_or_none())

    async def price(self, id: str, micros: int, *, final: bool = True) -> SmsMessage | None:
        async with writing(self._engine) as connection:
            found = await connection.execute(
                select(sms_messages).where(sms_messages.c.id == id).with_for_update()
            )
            before = _message(found.one_or_none())
            if before is None or before.priced:
                return None
            await connection.execute(
                update(sms_messages).where(sms_messages.c.id == id).values(micros=micros, priced=final)
            )
            return before

    async def move(self, id: str, provider: str, micros: int) -> SmsMessage | None:
        mine = sms_messages.c.id == id
        async with writing(self._engine) as connection:
            before = _message(
                (await connection.execute(select(sms_messages).where(mine).with_for_update())).one_or_none()
            )
            await connection.execute(
                update(sms_messages).where(mine).values(provider=provider, micros=micros)
            )
        return before

    async def of_session(self, session: str) -> Sequence[SmsMessage]:
        return await self._newest(select(sms_messages).where(sms_messages.c.session == session).limit(_FEW))

    async def of_number(self, username: str, numbers: Sequence[str], since: float) -> Sequence[SmsMessage]:
        columns = sms_messages.c
        own = (columns.username == username) & columns.number.in_(numbers) & (columns.created_at > since)
        return await self._newest(select(sms_messages).where(own).limit(_FEW))

    async def verify(self, session: str, at: float) -> None:
        async with writing_once(self._engine) as connection:
            mine = (sms_messages.c.session == session) & (sms_messages.c.verified_at == 0)
            await connection.execute(update(sms_messages).where(mine).values(verified_at=at))

    async def conversion(self, ranges: Sequence[str], since: float, until: float) -> tuple[int, int]:
        verified = func.sum(case((sms_messages.c.verified_at > 0, 1), else_=0))
        query = select(func.count(), verified).where(
            sms_messages.c.range.in_(ranges), sms_messages.c.created_at > since, _says_something(until)
        )
        async with reading(self._engine) as connection:
            numbers = (await connection.execute(query.group_by(sms_messages.c.number))).all()
        right = sum(int(answered) for _, answered in numbers)
        return right + sum(min(sent - int(answered), _SILENT) for sent, answered in numbers), right

    async def answers(self, username: str, numbers: Sequence[str], until: float) -> bool:
        columns = sms_messages.c
        own = (columns.username == username) & columns.number.in_(numbers)
        query = select(columns.verified_at).where(own, _says_something(until))
        async with reading(self._engine) as connection:
            last = await connection.scalars(query.order_by(columns.created_at.desc()).limit(_FEW))
            return any(at > 0 for at in last)

    async def last_verified(self, username: str, numbers: Sequence[str]) -> float:
        columns = sms_messages.c
        own = (columns.username == username) & columns.number.in_(numbers)
        async with reading(self._engine) as connection:
            return await connection.scalar(select(func.max(columns.verified_at)).where(own)) or 0.0

    async def unpriced(self, since: float, until: float, provider: str) -> Sequence[SmsMessage]:
        taken = (sms_messages.c.sid != "") & ~sms_messages.c.priced & (sms_messages.c.provider == provider)
        span = sms_messages.c.created_at.between(since, until)
        return await self._newest(select(sms_messages).where(taken, span).limit(_BATCH))

    async def purge(self, before: float) -> int:
        return await delete_in_batches(self._engine, sms_messages, sms_messages.c.created_at < before)

    # -- for administrators ----------------------------------------------------------------------------------------

    async def spend(self, since: float) -> Sequence[SmsSpend]:
        total = func.sum(sms_messages.c.micros)
        by = (sms_messages.c.country, sms_messages.c.channel, sms_messages.c.currency)
        query = select(*by, func.count(), total).where(sms_messages.c.created_at >= since).group_by(*by)
        async with reading(self._engine) as connection:
            rows = (await connection.execute(query.order_by(total.desc(), *by))).all()
        return [
            SmsSpend(
                country=row[0], channel=row[1], currency=row[2], messages=int(row[3]), micros=int(row[4])
            )
            for row in rows
        ]

    async def last(self, limit: int, *, username: str | None = None) -> Sequence[SmsMessage]:
        query: Select[tuple[object, ...]] = select(sms_messages).limit(limit)
        return await self._newest(
            query if username is None else query.where(sms_messages.c.username == username)
        )

    async def rates(self, since: float) -> Sequence[SmsRates]:
        delivered = func.sum(case((sms_messages.c.status.in_(DELIVERED), 1), else_=0))
        final = func.sum(case((sms_messages.c.stage >= FINAL, 1), else_=0))
        verified = func.sum(case((sms_messages.c.verified_at > 0, 1), else_=0))
        query = select(sms_messages.c.country, func.count(), delivered, final, verified)
        query = query.where(sms_messages.c.created_at >= since).group_by(sms_messages.c.country)
        async with reading(self._engine) as connection:
            rows = (
                await connection.execute(query.order_by(func.count().desc(), sms_messages.c.country))
            ).all()
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

    async def costs(self, since: float) -> Sequence[SmsCost]:
        table = sms_messages.c
        by = (table.country, table.currency)
        verified = func.sum(case((table.verified_at > 0, 1), else_=0))
        sign_ins = func.count(distinct(case((table.verified_at > 0, table.session))))
        query = select(*by, func.count(), verified, sign_ins, func.sum(table.micros))
        query = query.where(table.created_at >= since).group_by(*by).order_by(func.count().desc(), *by)
        async with reading(self._engine) as connection:
            rows = (await connection.execute(query)).all()
        names = ("messages", "verified", "sign_ins", "micros")
        return [
            SmsCost(country=c, currency=u, **dict(zip(names, map(int, sums), strict=True)))
            for c, u, *sums in rows
        ]

    async def vendors(self, since: float) -> Sequence[SmsVendor]:
        delivered = func.sum(case((sms_messages.c.status.in_(DELIVERED), 1), else_=0))
        final = func.sum(case((sms_messages.c.stage >= FINAL, 1), else_=0))
        by = (sms_messages.c.provider, sms_messages.c.currency)
        query = select(*by, func.count(), delivered, final, func.sum(sms_messages.c.micros))
        query = query.where(sms_messages.c.created_at >= since).group_by(*by)
        async with reading(self._engine) as connection:
            rows = (await connection.execute(query.order_by(func.count().desc(), *by))).all()
        return [
            SmsVendor(
                provider=name,
                messages=int(n),
                delivered=int(d),
                failed=int(f - d),
                micros=int(m),
                currency=currency,
            )
            for name, currency, n, d, f, m in rows
        ]

    async def _newest(self, query: Select[tuple[object, ...]]) -> Sequence[SmsMessage]:
        columns = sms_messages.c
        # Of one moment, what failed was before what is under way: the next channel is tried at once.
        ordered = query.order_by(columns.created_at.desc(), columns.stage, columns.id)
        async with reading(self._engine) as connection:
            rows = await connection.execute(ordered)
            return [SmsMessage(**row._mapping) for row in rows]


def _message(row: Row[tuple[object, ...]] | None) -> SmsMessage | None:
    return None if row is None else SmsMessage(**row._mapping)


def _says_something(until: float) -> ColumnElement[bool]:
    """Whether a message tells of who reads them."""
    # One that is still on its way says nothing yet, unless its code is back already.
    settled = (sms_messages.c.created_at <= until) | (sms_messages.c.verified_at > 0)
    # What the provider never took reached nobody: an outage must not make the range look pumped.
    return settled & ((sms_messages.c.sid != "") | sms_messages.c.status.not_in(NOT_TAKEN))


class SqlSmsBlocks:
    """Blocked ranges in the database."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def get(self, range: str) -> SmsBlock | None:
        async with reading(self._engine) as connection:
            row = (
                await connection.execute(select(sms_blocks).where(sms_blocks.c.range == range))
            ).one_or_none()
        return SmsBlock(**row._mapping) if row else None

    async def put(self, block: SmsBlock) -> None:
        async with writing(self._engine) as connection:
            statement = upsert(connection, sms_blocks).values(asdict(block))
            changed = statement.on_conflict_do_update(index_elements=["range"], set_=asdict(block))
            await connection.execute(changed)

    async def list(self, now: float) -> Sequence[SmsBlock]:
        query = select(sms_blocks).where(sms_blocks.c.until > now).order_by(sms_blocks.c.range)
        async with reading(self._engine) as connection:
            return [SmsBlock(**row._mapping) for row in await connection.execute(query)]

    async def purge(self, before: float) -> int:
        """Drop blocks that ended and were lifted before; returns how many."""
        over = (sms_blocks.c.until < before) & (sms_blocks.c.since < before)
        return await delete_in_batches(self._engine, sms_blocks, over)


class SqlPhoneChanges:
    """Changes of numbers in the database."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def of(self, username: str, since: float) -> Sequence[PhoneChange]:
        mine = (phone_changes.c.username == username) & (phone_changes.c.at > since)
        async with reading(self._engine) as connection:
            rows = await connection.execute(
                select(phone_changes).where(mine).order_by(phone_changes.c.id.desc())
            )
            return [PhoneChange(**row._mapping) for row in rows]

    async def waive(self, username: str) -> int:
        mine = update(phone_changes).where(phone_changes.c.username == username, ~phone_changes.c.waived)
        async with writing(self._engine) as connection:
            return (await connection.execute(mine.values(waived=True))).rowcount

    async def purge(self, before: float) -> int:
        return await delete_in_batches(self._engine, phone_changes, phone_changes.c.at < before)


async def note_phone(connection: AsyncConnection, username: str, before: str, at: float) -> None:
    """Note the number before a change, inside a running transaction."""
    await connection.execute(insert(phone_changes).values(username=username, before=before, at=at))


async def forget_phones(connection: AsyncConnection, username: str) -> int:
    """Delete a user's changes inside a running transaction; return how many."""
    return (
        await connection.execute(delete(phone_changes).where(phone_changes.c.username == username))
    ).rowcount
