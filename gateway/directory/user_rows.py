"""Users as rows of the tables users and user_groups, and back. Runs inside the caller's transaction."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Row, delete, func, insert, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.model import User
from gateway.stores.sql.schema import user_groups, users


async def read(connection: AsyncConnection, which: ColumnElement[bool]) -> Sequence[User]:
    """Read the users of which a condition is true."""
    rows = (await connection.execute(select(users).where(which).order_by(users.c.username))).all()
    named = select(users.c.username).where(which)
    query = select(user_groups).where(user_groups.c.username.in_(named)).order_by(user_groups.c.position)
    groups: dict[str, list[str]] = {}
    for row in await connection.execute(query):
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


def matching(search: str) -> ColumnElement[bool]:
    """Users whose username, name, e-mail address or one of whose groups contains the text; all for ""."""
    text = search.strip().lower()
    member = select(user_groups.c.username).where(
        func.lower(user_groups.c.name).contains(text, autoescape=True)
    )
    fields = (users.c.username, users.c.name, users.c.email)
    found = [func.lower(field).contains(text, autoescape=True) for field in fields]
    return or_(*found, users.c.username.in_(member))


def facts(user: User) -> dict[str, object]:
    """The columns that `replace` writes."""
    return {"name": user.name, "email": user.email, "phone": user.phone, "disabled": user.disabled}


def _user(row: Row[tuple[object, ...]], groups: tuple[str, ...]) -> User:
    return User(**row._mapping, groups=groups)
