"""Users in the gateway's own database.

Whatever a cache may hold of a user is published as a Change in the transaction that changes it. Passwords are
checked in equal work whether or not the user exists, is disabled or has a password.
"""

import itertools
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Row,
    and_,
    bindparam,
    case,
    delete,
    func,
    insert,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from gateway.clock import Clock
from gateway.config.names import checked_user_name
from gateway.directory import identifiers
from gateway.directory.base import Census
from gateway.directory.password_hashing import PasswordHashing
from gateway.errors import InvalidUser, UserExists, UserUnknown
from gateway.model import User
from gateway.stores.protocols.core import Change
from gateway.stores.sql.belongings import forget_belongings
from gateway.stores.sql.devices import forget_devices
from gateway.stores.sql.folding import folded
from gateway.stores.sql.schema import user_groups, users
from gateway.stores.sql.sessions import end_sessions_of, publish
from gateway.stores.sql.sms import note_phone
from gateway.stores.sql.subjects import forget_subject
from gateway.stores.sql.transactions import reading, writing

_FIELDS = [column for column in users.c if column.name != "searchable"]
_GROUPS = (
    select(user_groups)
    .where(user_groups.c.username.in_(bindparam("named", expanding=True)))
    .order_by(user_groups.c.position)
)


class DatabaseDirectory:
    """The directory that keeps its users in `storage.url`."""

    def __init__(
        self, engine: AsyncEngine, passwords: PasswordHashing, clock: Clock, *, country: str = ""
    ) -> None:
        """`country` is that of numbers without country code (`sms.default_country`)."""
        self._engine = engine
        self._passwords = passwords
        self._clock = clock
        self._country = country

    async def get(self, username: str) -> User | None:
        try:
            name = checked_user_name(username)
        except InvalidUser:  # what visitors type; such a user can't exist
            return None
        async with reading(self._engine) as connection:
            found = await read_users(connection, users.c.username == name)
        return found[0] if found else None

    async def counted_as(self, name: str) -> str:
        return name  # one user, one spelling

    async def authenticate(self, username: str, password: str) -> User | None:
        user = await self.get(username)
        if user is None or not user.password_hash:
            await self._passwords.dummy_verify()
            return None
        if not await self._passwords.verify(password, user.password_hash) or user.disabled:
            return None
        return await self._rehashed(user, password)

    async def list(self, search: str = "", *, after: str = "", limit: int) -> Sequence[User]:
        which = [users_matching(search)] if search.strip() else []
        if after:
            which.append(users.c.username > after)
        async with reading(self._engine) as connection:
            return await read_users(connection, and_(true(), *which), limit)

    async def count(self, search: str = "") -> Census:
        disabled = func.sum(case((users.c.disabled, 1), else_=0))
        query = select(func.count(), disabled).select_from(users)
        if search.strip():
            query = query.where(users_matching(search))
        async with reading(self._engine) as connection:
            found, off = (await connection.execute(query)).one()
        return Census(found, off or 0)

    async def usernames(self) -> set[str]:
        """Return the names of all users, for an import."""
        async with reading(self._engine) as connection:
            return set(await connection.scalars(select(users.c.username)))

    async def with_email(self, address: str, *, limit: int = 20) -> Sequence[User]:
        spellings = identifiers.email_spellings(address)
        if not spellings:  # only whole rows tell how letters beyond ASCII were written
            return await self.list(address.rpartition("@")[0], limit=limit)
        async with reading(self._engine) as connection:
            return await read_users(connection, func.lower(users.c.email).in_(spellings), limit)

    async def in_groups(self, groups: Sequence[str], *, limit: int) -> Sequence[User]:
        members = select(user_groups.c.username).where(user_groups.c.name.in_(groups))
        which = users.c.username.in_(members) & users.c.disabled.is_(False)
        async with reading(self._engine) as connection:
            return await read_users(connection, which, limit)

    async def add(self, user: User, password: str | None = None) -> None:
        """Without `password`, the user keeps `user.password_hash` (imports); empty means no password yet."""
        await self.add_all([await self.prepared(user, password)])

    async def add_all(self, prepared: Sequence[User]) -> None:
        """Insert users that came from `prepared`, all or none; raises UserExists."""
        try:
            async with writing(self._engine) as connection:
                await _insert_all(connection, prepared)
                changes = [Change("user", user.username) for user in prepared]
                await publish(connection, self._clock(), *changes)
        except IntegrityError as error:
            raise UserExists(f"there is a user {await self._taken(prepared)} already") from error

    async def _taken(self, wanted: Sequence[User]) -> str:
        """The name of which there is a user, or that is wanted twice."""
        names = sorted(user.username for user in wanted)
        query = select(users.c.username).where(users.c.username.in_(names)).order_by(users.c.username)
        async with reading(self._engine) as connection:
            found = await connection.scalar(query.limit(1))
        twice = (one for one, other in itertools.pairwise(names) if one == other)
        return str(found or next(twice, names[0]))

    async def prepared(self, user: User, password: str | None = None) -> User:
        """The user in canonical spelling with the password hashed; raises InvalidUser, WeakPassword."""
        user = identifiers.checked_new(user, country=self._country)
        now = self._clock()
        if password is not None:
            await self._passwords.strength.check(password, user)
            user = replace(user, password_hash=await self._passwords.hash(password), password_changed_at=now)
        return replace(user, created_at=user.created_at or now)

    async def replace(self, user: User) -> None:
        """Disabling also ends the user's sessions, so that enabling again does not bring them back.

        Remembered devices were trusted on the word of a second factor: they go when it changes. The number before
        is noted, for the cool-off.
        """
        user = identifiers.checked(user, country=self._country)
        async with writing(self._engine) as connection:
            before = await number_before(connection, user)
            if before is not None:
                await note_phone(connection, user.username, before, self._clock())
            if user.disabled or before:
                await forget_devices(connection, user.username)
            await self._update(connection, user.username, facts(user))
            await write_groups(connection, user)
            now = self._clock()
            ended = await end_sessions_of(connection, now, user.username) if user.disabled else []
            await publish(connection, now, *ended, Change("user", user.username))

    async def check_password(self, password: str, user: User) -> None:
        await self._passwords.strength.check(password, user)

    async def set_password(self, username: str, password: str) -> None:
        """Ends no session: who changes the own password keeps the one at hand. Callers end the others."""
        name = checked_user_name(username)
        await self.check_password(password, await self.get(name) or User(name))
        hash = await self._passwords.hash(password)
        async with writing(self._engine) as connection:
            now = self._clock()
            await self._update(connection, name, {"password_hash": hash, "password_changed_at": now})
            await forget_devices(connection, name)
            await publish(connection, now, Change("user", name))

    async def clear_password(self, username: str) -> None:
        name, now = checked_user_name(username), self._clock()
        async with writing(self._engine) as connection:
            await self._update(connection, name, {"password_hash": "", "password_changed_at": now})
            await forget_devices(connection, name)
            await publish(connection, now, Change("user", name))

    async def delete(self, username: str) -> None:
        """Delete a user with everything that belongs to it, in one transaction. Raises UserUnknown."""
        name = checked_user_name(username)
        async with writing(self._engine) as connection:
            gone = await connection.execute(delete(users).where(users.c.username == name))
            if gone.rowcount == 0:
                raise UserUnknown(f"there is no user {name}")
            await forget_subject(connection, name)
            now = self._clock()
            ended = await forget_belongings(connection, name, now)
            await publish(connection, now, *ended, Change("user", name))

    async def _update(self, connection: AsyncConnection, username: str, values: dict[str, object]) -> None:
        done = await connection.execute(update(users).where(users.c.username == username).values(values))
        if done.rowcount == 0:
            raise UserUnknown(f"there is no user {username}")

    async def _rehashed(self, user: User, password: str) -> User:
        """Stores a hash with today's parameters, unless the password was changed in the meantime."""
        if not self._passwords.needs_rehash(user.password_hash):
            return user
        hash = await self._passwords.hash(password)
        same = (users.c.username == user.username) & (users.c.password_hash == user.password_hash)
        async with writing(self._engine) as connection:
            await connection.execute(update(users).where(same).values(password_hash=hash))
        return replace(user, password_hash=hash)


async def _insert_all(connection: AsyncConnection, new: Sequence[User]) -> None:
    """Insert users and their groups, with two statements however many they are."""
    if not new:
        return
    rows = [
        facts(user)
        | {
            "username": user.username,
            "password_hash": user.password_hash,
            "password_changed_at": user.password_changed_at,
            "created_at": user.created_at,
        }
        for user in new
    ]
    await connection.execute(insert(users), rows)
    memberships = [
        {"username": user.username, "name": name, "position": place}
        for user in new
        for place, name in enumerate(user.groups)
    ]
    if memberships:
        await connection.execute(insert(user_groups), memberships)


async def read_users(
    connection: AsyncConnection, which: ColumnElement[bool], limit: int | None = None
) -> Sequence[User]:
    """Read the users of which a condition is true, by username."""
    chosen = select(*_FIELDS).where(which).order_by(users.c.username).limit(limit)
    rows = (await connection.execute(chosen)).all()
    groups: dict[str, list[str]] = {}
    for row in await connection.execute(_GROUPS, {"named": [row.username for row in rows]}):
        groups.setdefault(row.username, []).append(row.name)
    return [_user(row, tuple(groups.get(row.username, ()))) for row in rows]


async def write_groups(connection: AsyncConnection, user: User) -> None:
    """Replace the groups of a user."""
    await connection.execute(delete(user_groups).where(user_groups.c.username == user.username))
    if user.groups:
        named = enumerate(user.groups)
        rows = [{"username": user.username, "name": name, "position": place} for place, name in named]
        await connection.execute(insert(user_groups), rows)


async def number_before(connection: AsyncConnection, user: User) -> str | None:
    """Return the number that is about to be replaced ("" = there was none); None if it stays."""
    phone = await connection.scalar(select(users.c.phone).where(users.c.username == user.username))
    return None if phone is None or phone == user.phone else str(phone)


def users_matching(search: str) -> ColumnElement[bool]:
    """Users whose username, name, e-mail address or one of whose groups contains the text; all for ""."""
    text = search.strip().lower()
    member = select(user_groups.c.username).where(
        func.lower(user_groups.c.name).contains(text, autoescape=True)
    )
    fields = (users.c.username, users.c.name, users.c.email)
    found = [func.lower(field).contains(text, autoescape=True) for field in fields]
    found.append(users.c.searchable.contains(folded(search.strip()), autoescape=True))
    return or_(*found, users.c.username.in_(member))


def facts(user: User) -> dict[str, object]:
    """The columns that `replace` writes."""
    return {
        "name": user.name,
        "email": user.email,
        "phone": user.phone,
        "disabled": user.disabled,
        "attributes": json.dumps(dict(user.attributes)) if user.attributes else "",
        "searchable": folded(f"{user.username}\n{user.name}\n{user.email}"),
    }


def _user(row: Row[Any], groups: tuple[str, ...]) -> User:
    kept = json.loads((known := dict(row._mapping)).pop("attributes") or "{}").items()
    return User(**known, groups=groups, attributes=tuple((name, tuple(one)) for name, one in kept))
