"""What `sms report` reads: messages by number, and who holds which kind of factor."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import case, distinct, func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.stores.protocols.sms import DELIVERED, FINAL
from gateway.stores.sql.schema import credentials, sms_messages
from gateway.stores.sql.transactions import reading


@dataclass(frozen=True, slots=True)
class NumberSums:
    """What went to one number, which is a keyed hash. `verified` are messages whose code came back, `sign_ins` the
    sessions that they let on.
    """

    country: str
    number: str
    currency: str
    messages: int
    delivered: int
    failed: int
    verified: int
    sign_ins: int
    micros: int


class SqlSmsReport:
    """Sums over many users, for a command and not for a request."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def holders(self, kinds: Sequence[str]) -> set[str]:
        """Return the names of those who hold a credential of one of these kinds."""
        query = select(credentials.c.username).where(credentials.c.kind.in_(kinds)).distinct()
        async with reading(self._engine) as connection:
            return set(await connection.scalars(query))

    async def by_number(self, since: float) -> Sequence[NumberSums]:
        """Return the sums of all messages since a time in Unix seconds."""
        columns = sms_messages.c
        by = (columns.country, columns.number, columns.currency)
        delivered = case((columns.status.in_(DELIVERED), 1), else_=0)
        final = case((columns.stage >= FINAL, 1), else_=0)
        verified = case((columns.verified_at > 0, 1), else_=0)
        sign_ins = func.count(distinct(case((columns.verified_at > 0, columns.session))))
        sums = (func.sum(delivered), func.sum(final), func.sum(verified), sign_ins, func.sum(columns.micros))
        query = select(*by, func.count(), *sums).where(columns.created_at >= since).group_by(*by)
        async with reading(self._engine) as connection:
            rows = (await connection.execute(query)).all()
        return [
            NumberSums(
                country=country,
                number=number,
                currency=currency,
                messages=int(n),
                delivered=int(d),
                failed=int(f) - int(d),
                verified=int(v),
                sign_ins=int(s),
                micros=int(m),
            )
            for country, number, currency, n, d, f, v, s, m in rows
        ]
