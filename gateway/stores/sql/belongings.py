"""Takes from a name what belonged to its owner: when a user is deleted, and when the name passes to somebody else."""

from hashlib import sha256

from sqlalchemy import delete, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.stores.protocols.core import Change
from gateway.stores.sql.access_requests import forget_requests
from gateway.stores.sql.devices import forget_devices
from gateway.stores.sql.federated_accounts import forget_accounts
from gateway.stores.sql.schema import credentials, places, registrations
from gateway.stores.sql.schema_oidc import oidc_consents
from gateway.stores.sql.schema_scim import scim_names
from gateway.stores.sql.schema_sign_ins import sign_ins
from gateway.stores.sql.sessions import end_sessions_of
from gateway.stores.sql.sms import forget_phones
from gateway.stores.sql.tokens import end_tokens_of


async def forget_belongings(connection: AsyncConnection, name: str, now: float) -> list[Change]:
    """Delete, inside a running transaction, all that a name has here but what apps call it by.

    Returns what is to be published.
    """
    await connection.execute(delete(credentials).where(credentials.c.username == name))
    await connection.execute(delete(places).where(places.c.username == name))
    await connection.execute(delete(sign_ins).where(sign_ins.c.username == name))
    known = (scim_names.c.kind == "user") & (scim_names.c.name == name)
    await connection.execute(delete(scim_names).where(known))
    await forget_devices(connection, name)
    await forget_requests(connection, name)
    await connection.execute(delete(registrations).where(registrations.c.address == name))
    await forget_phones(connection, name)
    await forget_accounts(connection, name)
    ended = await end_sessions_of(connection, now, name)
    await connection.execute(delete(oidc_consents).where(oidc_consents.c.username == name))
    ended += await end_tokens_of(connection, name)
    return ended


async def pass_on(
    connection: AsyncConnection, name: str, before: str, now_with: str, now: float
) -> list[Change]:
    """Take everything from a name that passes from one person to another, inside a running transaction.

    `before` and `now_with` are what the directory calls the two by. Factors are put aside, not deleted: should the
    directory have been restored or moved by mistake, they are there again once the person before has the name back.
    Returns what is to be published.
    """
    aside = update(credentials).where(credentials.c.username == name).values(username=_aside(name, before))
    await connection.execute(aside)
    ended = await forget_belongings(connection, name, now)
    own = _aside(name, now_with)
    await connection.execute(update(credentials).where(credentials.c.username == own).values(username=name))
    return ended


def _aside(name: str, person: str) -> str:
    """Where factors are of a person who has lost a name. No user is called so: names have no comma."""
    return sha256(f"{name} {person}".encode()).hexdigest() + ","
