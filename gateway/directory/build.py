"""Makes the directory that the configuration names, with its background work and its check for readyz."""

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import assert_never
from urllib.parse import urlsplit

from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.clock import Clock
from gateway.config.schema import Config, DirectoryDatabase, DirectoryFile, DirectoryLdap
from gateway.directory.base import Directory, WritableDirectory
from gateway.directory.database import DatabaseDirectory
from gateway.directory.password_hashing import PasswordHashing
from gateway.directory.persons import Passes, Persons
from gateway.directory.user_search import DatabaseUserSearch, DirectoryUserSearch
from gateway.directory.yaml_file import FileChange, FileDirectory
from gateway.errors import ConfigError, Mistake
from gateway.model import User
from gateway.stores.protocols.user_search import UserSearch
from gateway.stores.sql.subjects import SqlSubjects

OnChange = Callable[[FileChange], Awaitable[None]]


async def _nothing() -> None:
    """The database is closed by who opened it; a file is never open."""


def _not_declared(user: User) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class DirectoryBundle:
    """The directory, and what belongs to it. `origin` says where a user is declared ("" = in our database).

    `persons` is the directory where it is one elsewhere. `watch`, if any, tells of changes that no Change in the
    database tells of, until it is cancelled.
    """

    directory: Directory
    search: UserSearch
    writable: WritableDirectory | None = None
    persons: Persons | None = None
    watch: Callable[[OnChange], Coroutine[object, object, None]] | None = None
    close: Callable[[], Awaitable[None]] = _nothing
    origin: Callable[[User], str] = _not_declared
    checks: dict[str, Callable[[], Awaitable[object]]] = field(default_factory=dict)


def names_of(config: Config) -> list[str]:
    """What the service is called: its hosts and the name on its pages. They make bad passwords."""
    hosts = [route.host for route in config.routes] + [one.domain for one in config.domains]
    return [config.branding.name, urlsplit(config.server.public_url).hostname or "", *hosts]


def build_directory(
    config: Config, engine: AsyncEngine, passwords: PasswordHashing, clock: Clock
) -> DirectoryBundle:
    """Make the directory that the configuration names. Raises ConfigError."""
    section, country = config.directory, config.sms.default_country
    mail = config.email.second_factor
    match section:
        case DirectoryDatabase():
            database = DatabaseDirectory(engine, passwords, clock, country=country)
            return DirectoryBundle(database, DatabaseUserSearch(engine, mail=mail), database)
        case DirectoryFile():
            file = FileDirectory(section.path, passwords, country=country)
            persons = Persons(file, SqlSubjects(engine, clock).passes)
            search = DirectoryUserSearch(persons, engine, mail=mail)
            return DirectoryBundle(persons, search, persons=persons, watch=file.watch, origin=file.origin)
        case DirectoryLdap():
            persons, close, ping = _ldap(section, country, SqlSubjects(engine, clock).passes)
            search = DirectoryUserSearch(persons, engine, mail=mail)
            return DirectoryBundle(persons, search, persons=persons, close=close, checks={"directory": ping})
        case _:
            assert_never(section)


_Asked = Callable[[], Awaitable[object]]


def _ldap(
    section: DirectoryLdap, country: str, passes: Passes
) -> tuple[Persons, Callable[[], Awaitable[None]], _Asked]:
    try:
        from gateway.directory.ldap import LdapDirectory  # an optional extra
    except ModuleNotFoundError:
        mend = 'pip install "auth-gateway[ldap]"'
        mistake = Mistake(
            file="configuration",
            line=0,
            key="directory.kind",
            problem="the LDAP client is missing",
            mend=mend,
        )
        raise ConfigError([mistake]) from None
    ldap = LdapDirectory(section, country=country)
    return Persons(ldap, passes), ldap.close, ldap.ping
