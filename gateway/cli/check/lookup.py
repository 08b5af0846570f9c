"""Finds the user that `check --explain --user` names, where the gateway itself would look."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from gateway.clock import system_clock
from gateway.config.schema import Config
from gateway.directory.build import build_directory
from gateway.directory.password_hashing import PasswordHashing
from gateway.errors import GatewayError
from gateway.model import User
from gateway.stores.sql.engine import open_engine


@dataclass(frozen=True, slots=True)
class LookedUp:
    """What was found of a user. `user` is None if there is none, or if nobody could be looked up: then `problem` says
    why.
    """

    user: User | None = None
    problem: str = ""


def find_user(config: Config, username: str) -> LookedUp:
    """Asks the directory of the configuration; makes no database where there is none."""
    place = make_url(config.storage.url)
    if place.get_backend_name() == "sqlite" and not Path(place.database or "").is_file():
        return LookedUp(problem=f"there is no database {place.database} yet")
    return asyncio.run(_asked(config, username))


async def _asked(config: Config, username: str) -> LookedUp:
    engine = open_engine(config.storage.url)
    people = build_directory(config, engine, PasswordHashing(config.passwords), system_clock)
    try:
        return LookedUp(user=await people.directory.get(username))
    except GatewayError as error:
        return LookedUp(problem=error.detail)
    except SQLAlchemyError as error:
        return LookedUp(problem=str(error).splitlines()[0][:200])
    finally:
        await people.close()
        await engine.dispose()
