"""Remembered devices in SQL. What forgets them runs inside the transactions that change their users."""

import builtins
from collections.abc import Sequence

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from gateway.stores.protocols.core import Device
from gateway.stores.sql.purge import delete_in_batches, expired_share
from gateway.stores.sql.schema import devices
from gateway.stores.sql.transactions import reading, writing


class SqlDevices:
    """Remembered devices in the database."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def get(self, id: str) -> Device | None:
        async with reading(self._engine) as connection:
            row = (await connection.execute(select(devices).where(devices.c.id == id))).one_or_none()
        return Device(**row._mapping) if row else None

    async def add(self, device: Device) -> None:
        async with writing(self._engine) as connection:
            await connection.execute(
                insert(devices).values(
                    id=device.id,
                    username=device.username,
                    user_agent=device.user_agent.replace("\0", ""),  # PostgreSQL text holds no NUL
                    ip=device.ip,
                    created_at=device.created_at,
                    last_used_at=device.last_used_at,
                    expires_at=device.expires_at,
                )
            )

    async def touch(self, id: str, used_at: float, ip: str) -> None:
        async with writing(self._engine) as connection:
            step = update(devices).where(devices.c.id == id).values(last_used_at=used_at, ip=ip)
            await connection.execute(step)

    async def remove(self, username: str, id: str) -> bool:
        own = (devices.c.id == id) & (devices.c.username == username)
        async with writing(self._engine) as connection:
            return (await connection.execute(delete(devices).where(own))).rowcount == 1

    async def remove_for_user(self, username: str) -> int:
        async with writing(self._engine) as connection:
            return await forget_devices(connection, username)

    async def list(self, username: str | None = None) -> Sequence[Device]:
        query = select(devices).order_by(devices.c.created_at, devices.c.id)
        if username is not None:
            query = query.where(devices.c.username == username)
        async with reading(self._engine) as connection:
            rows: builtins.list[Device] = [Device(**row._mapping) for row in await connection.execute(query)]
        return rows

    async def purge(self, now: float) -> int:
        return await delete_in_batches(self._engine, devices, devices.c.expires_at <= now)

    async def share(self, now: float) -> tuple[int, int]:
        """How many have expired, and how many there are."""
        return await expired_share(self._engine, devices, devices.c.expires_at <= now)


async def forget_devices(connection: AsyncConnection, username: str) -> int:
    """Delete a user's devices inside a running transaction."""
    return (await connection.execute(delete(devices).where(devices.c.username == username))).rowcount
