"""Opens configuration and database for a command, and turns errors into exit codes: 0 ok, 1 failed, 2 configuration.

The one place where commands get their stores from.
"""

import asyncio
import getpass
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property, partial
from pathlib import Path
from typing import TypeVar

import click
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.authn.lockouts import Lockouts
from gateway.authn.password_check import fingerprint
from gateway.clock import Clock, SharedClock
from gateway.config.loader import load
from gateway.config.schema import Config, DirectoryDatabase
from gateway.directory.base import Directory
from gateway.directory.build import build_directory, names_of
from gateway.directory.database import DatabaseDirectory
from gateway.directory.password_hashing import PasswordHashing
from gateway.errors import ConfigError, GatewayError, UserUnknown
from gateway.keyring import KeyRing
from gateway.model import User
from gateway.rate_limits import RateLimits
from gateway.stores.protocols.core import AuditRow
from gateway.stores.sql.access_requests import SqlAccessRequests
from gateway.stores.sql.audit_log import SqlAuditLog
from gateway.stores.sql.credentials import SqlCredentials
from gateway.stores.sql.database_clock import DatabaseClock
from gateway.stores.sql.devices import SqlDevices
from gateway.stores.sql.engine import open_engine
from gateway.stores.sql.federated_accounts import SqlFederatedAccounts
from gateway.stores.sql.key_names import never_had_keys
from gateway.stores.sql.migrate import migrate
from gateway.stores.sql.sessions import SqlSessions
from gateway.stores.sql.spent_budgets import SqlSpentBudgets
from gateway.stores.state import State, open_state

T = TypeVar("T")

config_option = click.option(
    "--config",
    "config_file",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("config.yaml"),
    show_default=True,
    help="The configuration file.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@dataclass(frozen=True)
class Opened:
    """What a command works with."""

    config: Config
    engine: AsyncEngine
    clock: Clock
    first: bool
    """Whether no key ring has ever been used here."""

    @cached_property
    def passwords(self) -> PasswordHashing:
        return PasswordHashing(self.config.passwords, names=names_of(self.config))

    @cached_property
    def people(self) -> Directory:
        """Whatever directory the configuration names, to read from."""
        return build_directory(self.config, self.engine, self.passwords, self.clock).directory

    @cached_property
    def directory(self) -> DatabaseDirectory:
        """Our own database, to change users in. Raises GatewayError where they live elsewhere."""
        if not isinstance(self.config.directory, DirectoryDatabase):
            kind = self.config.directory.kind
            raise GatewayError(f"users are in the {kind} directory: change them there")
        country = self.config.sms.default_country
        return DatabaseDirectory(self.engine, self.passwords, self.clock, country=country)

    @cached_property
    def sessions(self) -> SqlSessions:
        return SqlSessions(self.engine, self.clock)

    @cached_property
    def devices(self) -> SqlDevices:
        return SqlDevices(self.engine)

    @cached_property
    def state(self) -> State:
        """Short-lived shared state, such as links that are out."""
        return open_state(self.config.storage, self.engine, self.clock)

    @cached_property
    def keys(self) -> KeyRing:
        """Made if nothing has ever needed one, so that a command may be the first. Raises ConfigError."""
        path = Path(self.config.session.keys_file)
        return KeyRing.load_or_create(path, self.clock) if self.first else KeyRing(path, self.clock)

    @cached_property
    def credentials(self) -> SqlCredentials:
        return SqlCredentials(self.engine, self.keys.seal, self.keys.open)

    @cached_property
    def spent(self) -> SqlSpentBudgets:
        return SqlSpentBudgets(engine=self.engine, clock=self.clock, seal=self.keys.seal, open=self.keys.open)

    @cached_property
    def blocks(self) -> Lockouts:
        """Make what knows who has to wait, and lifts it."""
        named = partial(fingerprint, self.keys.derive(b"typed names"))
        return Lockouts(
            limits=RateLimits(self.state.ledger, self.spent),
            directory=self.people,
            fingerprint=named,
            clock=self.clock,
        )

    @cached_property
    def access_requests(self) -> SqlAccessRequests:
        return SqlAccessRequests(self.engine)

    @cached_property
    def federated(self) -> SqlFederatedAccounts:
        return SqlFederatedAccounts(self.engine)

    @cached_property
    def audit(self) -> SqlAuditLog:
        return SqlAuditLog(self.engine)

    async def user(self, username: str) -> User:
        """From whatever directory it is. Raises UserUnknown."""
        found = await self.people.get(username)
        if found is None:
            raise UserUnknown(f"there is no user {username}")
        return found

    async def close(self) -> None:
        if "state" in self.__dict__:  # most commands need none
            await self.state.close()

    async def record(self, event: str, username: str = "", **data: object) -> None:
        """Note an administrator's act in the audit log (security rule 9)."""
        by = {"by": f"cli:{_operator()}"}
        await self.audit.append(
            [AuditRow(at=self.clock(), event=event, username=username, ip="", data=by | data)]
        )


def run(config_file: Path, work: Callable[[Opened], Awaitable[T]]) -> T:
    """The result of `work`. Errors become one message on stderr and the exit code, never a traceback."""
    try:
        return asyncio.run(_with_opened(config_file, work))
    except ConfigError as error:
        click.echo(f"auth-gateway: {error}", err=True)
        sys.exit(2)
    except GatewayError as error:
        click.echo(f"auth-gateway: {_sentence(error)}", err=True)
        sys.exit(1)


def moment(at: float) -> str:
    """A time as commands print it: UTC, to the second."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")


def print_json(value: object) -> None:
    click.echo(json.dumps(value, ensure_ascii=False, indent=2))


@asynccontextmanager
async def _opened(config_file: Path) -> AsyncIterator[Opened]:
    config = load(config_file, os.environ)
    engine, clock = open_engine(config.storage.url), SharedClock()
    try:
        await migrate(engine)
        await DatabaseClock(engine, clock).now()
        opened = Opened(config=config, engine=engine, clock=clock, first=await never_had_keys(engine))
        try:
            yield opened
        finally:
            await opened.close()
    finally:
        await engine.dispose()


async def _with_opened(config_file: Path, work: Callable[[Opened], Awaitable[T]]) -> T:
    async with _opened(config_file) as opened:
        return await work(opened)


def _operator() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's uid may have no name
        return str(os.getuid())


def _sentence(error: GatewayError) -> str:
    """What a user may read says it better, where an error has a sentence of its own."""
    return error.public if "public" in vars(error) else error.detail
