"""Finds users for the console: in SQL where the database is the directory, else among what the directory knows."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, case, func, not_, or_, select, true
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from gateway.directory.base import Directory, glance
from gateway.directory.database import read_users, users_matching
from gateway.model import User
from gateway.stores.protocols.user_search import PHONE_KIND, SAFER_KINDS, FoundUsers, UserQuery
from gateway.stores.sql.schema import credentials, user_groups, users
from gateway.stores.sql.schema_sign_ins import sign_ins
from gateway.stores.sql.transactions import reading

_SECOND = (*SAFER_KINDS, PHONE_KIND, "recovery")
"""Credentials that are a second factor."""
_MOST = 200_000
"""Users that one question looks at, where the directory is elsewhere."""
_Key = ColumnElement[object]


class DatabaseUserSearch:
    """Finds users in the gateway's own database, with a few statements however many there are."""

    def __init__(self, engine: AsyncEngine, *, mail: bool) -> None:
        """`mail`: the mail address is a second factor."""
        self._engine, self._mail = engine, mail

    async def find(self, query: UserQuery, *, after: str = "", limit: int) -> FoundUsers:
        which = and_(true(), *self._conditions(query))
        key = _sort_key(query.sort)
        joined = users.outerjoin(sign_ins, sign_ins.c.username == users.c.username)
        chosen = select(users.c.username).select_from(joined).where(which)
        counted = select(func.count()).select_from(joined).where(which)
        down = query.descending
        chosen = chosen.order_by(
            key.desc() if down else key, users.c.username.desc() if down else users.c.username
        )
        async with reading(self._engine) as connection:
            if after:
                at = await connection.scalar(select(key).select_from(joined).where(users.c.username == after))
                if at is not None:
                    further = key < at if down else key > at
                    beside = users.c.username < after if down else users.c.username > after
                    chosen = chosen.where(or_(further, and_(key == at, beside)))
                elif query.sort == "username":
                    chosen = chosen.where(users.c.username < after if down else users.c.username > after)
            names = list(await connection.scalars(chosen.limit(limit)))
            total = await connection.scalar(counted) or 0
            found = {user.username: user for user in await _named(connection, names)}
            last = await _last_sign_ins(connection, names)
        return FoundUsers([found[name] for name in names if name in found], total, last)

    def _conditions(self, query: UserQuery) -> list[ColumnElement[bool]]:
        asked = []
        if query.search.strip():
            asked.append(users_matching(query.search))
        if query.group:
            members = select(user_groups.c.username).where(user_groups.c.name == query.group)
            asked.append(users.c.username.in_(members))
        if query.outside:
            exempt = select(user_groups.c.username).where(user_groups.c.name.in_(query.outside))
            asked.append(users.c.username.not_in(exempt))
        if query.disabled is not None:
            asked.append(users.c.disabled.is_(query.disabled))
        if query.factors:
            asked.append(self._holds(query.factors))
        if query.never:
            asked.append(sign_ins.c.at.is_(None))
        elif query.idle_since:
            asked.append(or_(sign_ins.c.at.is_(None), sign_ins.c.at < query.idle_since))
        return asked

    def _holds(self, factors: str) -> ColumnElement[bool]:
        def holds(*kinds: str) -> ColumnElement[bool]:
            return users.c.username.in_(select(credentials.c.username).where(credentials.c.kind.in_(kinds)))

        phone = or_(users.c.phone != "", holds(PHONE_KIND))
        if factors == "sms":
            return phone
        if factors == "sms_alone":
            return and_(phone, not_(holds(*SAFER_KINDS)))
        if factors == "none":
            bare = and_(users.c.phone == "", not_(holds(*_SECOND)))
            return and_(bare, users.c.email == "") if self._mail else bare
        return holds(factors)


def _sort_key(sort: str) -> _Key:
    keys: dict[str, _Key] = {
        "name": func.lower(users.c.name),
        "email": func.lower(users.c.email),
        "created_at": users.c.created_at,
        "last_sign_in": case((sign_ins.c.at.is_(None), 0.0), else_=sign_ins.c.at),
    }
    return keys.get(sort, users.c.username)


async def _named(connection: AsyncConnection, names: Sequence[str]) -> Sequence[User]:
    return await read_users(connection, users.c.username.in_(names)) if names else []


async def _last_sign_ins(connection: AsyncConnection, names: Sequence[str]) -> dict[str, float]:
    if not names:
        return {}
    rows = await connection.execute(
        select(sign_ins.c.username, sign_ins.c.at).where(sign_ins.c.username.in_(names))
    )
    return {row.username: row.at for row in rows}


@dataclass(frozen=True, slots=True)
class _Known:
    """What the database knows of the users of another directory: who holds which kinds, and the last sign-ins."""

    holders: Mapping[str, set[str]]
    last: Mapping[str, float]
    mail: bool
    """Whether the mail address is a second factor."""


class DirectoryUserSearch:
    """Finds users of a file or an LDAP server, among those that are known by now."""

    def __init__(self, directory: Directory, engine: AsyncEngine, *, mail: bool) -> None:
        """`mail`: the mail address is a second factor."""
        self._directory, self._engine, self._mail = directory, engine, mail

    async def find(self, query: UserQuery, *, after: str = "", limit: int) -> FoundUsers:
        if query.plain:
            seen = await glance(self._directory, query.search, after=after, limit=limit)
            async with reading(self._engine) as connection:
                last = await _last_sign_ins(connection, [one.username for one in seen.users])
            return FoundUsers(
                users=seen.users, total=seen.census.users, last_sign_in=last, complete=seen.census.complete
            )
        seen = await glance(self._directory, query.search, limit=_MOST)
        known = await self._known()
        fitting = await asyncio.to_thread(_in_order, seen.users, query, known)
        names = [one.username for one in fitting]
        begin = names.index(after) + 1 if after in names else 0
        page = fitting[begin : begin + limit]
        last = {one.username: known.last[one.username] for one in page if one.username in known.last}
        return FoundUsers(users=page, total=len(fitting), last_sign_in=last, complete=seen.census.complete)

    async def _known(self) -> _Known:
        holders: dict[str, set[str]] = {}
        held = select(credentials.c.username, credentials.c.kind).distinct()
        async with reading(self._engine) as connection:
            for row in await connection.execute(held):
                holders.setdefault(row.kind, set()).add(row.username)
            rows = await connection.execute(select(sign_ins.c.username, sign_ins.c.at))
            return _Known(holders, {row.username: row.at for row in rows}, mail=self._mail)


def _in_order(users: Sequence[User], query: UserQuery, known: _Known) -> Sequence[User]:
    fitting = [one for one in users if _fits(one, query, known)]

    def key(one: User) -> tuple[str | float, str]:
        keys: dict[str, str | float] = {
            "name": one.name.lower(),
            "email": one.email.lower(),
            "created_at": one.created_at,
            "last_sign_in": known.last.get(one.username, 0.0),
        }
        return keys.get(query.sort, one.username), one.username

    return sorted(fitting, key=key, reverse=query.descending)


def _fits(one: User, query: UserQuery, known: _Known) -> bool:
    if (query.group and query.group not in one.groups) or query.disabled not in (None, one.disabled):
        return False
    if not set(query.outside).isdisjoint(one.groups):
        return False
    last = known.last.get(one.username)
    if (query.never and last is not None) or (
        query.idle_since and last is not None and last >= query.idle_since
    ):
        return False
    return not query.factors or _holds(one, query.factors, known)


def _holds(one: User, factors: str, known: _Known) -> bool:
    def holds(*wanted: str) -> bool:
        return any(one.username in known.holders.get(kind, ()) for kind in wanted)

    phone = bool(one.phone) or holds(PHONE_KIND)
    if factors == "sms":
        return phone
    if factors == "sms_alone":
        return phone and not holds(*SAFER_KINDS)
    if factors == "none":
        return not phone and not holds(*_SECOND) and not (known.mail and one.email)
    return holds(factors)
