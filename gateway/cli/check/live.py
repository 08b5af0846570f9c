"""`auth-gateway check --live`: finds what `serve` would find at its start, without serving or changing anything."""

import asyncio
import http.client
import os
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from urllib.parse import unquote

from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.cli.health import ask
from gateway.clock import TOLERANCE, SharedClock
from gateway.config.schema import Config
from gateway.directory.build import build_directory
from gateway.directory.password_hashing import PasswordHashing
from gateway.errors import ConfigError, GatewayError, Mistake
from gateway.keyring import KeyRing
from gateway.server.process.sockets import ListenError, Listeners
from gateway.server.tls.context import server_context
from gateway.stores.audit_archive import ArchiveFailed, archive_secret
from gateway.stores.sql.database_clock import DatabaseClock
from gateway.stores.sql.engine import open_engine
from gateway.stores.sql.key_names import known_keys
from gateway.stores.sql.migrate import usable_revision
from gateway.stores.state import redis_state

Found = tuple[str, str, str]
"""A key of the configuration, what is wrong, and how to mend it."""
_KEYS_KNOWN_SINCE = "0013"
"""The schema from which on the database knows its key ring."""
PATIENCE = 10.0
"""Seconds for each store."""


def live_mistakes(config: Config, file: Path) -> list[Mistake]:
    """Everything that would keep `serve` from starting or signing people in, each with its mend."""
    stores = StoreCheck(config)
    asyncio.run(stores.run())
    return [
        Mistake(file=str(file), line=0, key=key, problem=problem, mend=mend)
        for key, problem, mend in (
            *_listening(config),
            *_tls(config),
            *_folders(config),
            *_archive(config),
            *stores.found,
        )
    ]


def _listening(config: Config) -> list[Found]:
    try:
        for listen in config.server.listens:
            listeners = Listeners(listen)
            listeners.grow(1)
            listeners.close()
    except (ListenError, OSError) as error:
        if _answers(config):
            return []  # it is the gateway of this configuration that runs already
        return [("server.listen", str(error), "end the program that has the address, or write another one")]
    return []


def _answers(config: Config) -> bool:
    try:
        return ask(config, "healthz")[0] == 200
    except (OSError, http.client.HTTPException):
        return False


def _tls(config: Config) -> list[Found]:
    try:
        server_context(config.server.tls)
    except ConfigError as error:
        return [(one.key, one.problem, one.mend) for one in error.mistakes]
    return []


def _folders(config: Config) -> list[Found]:
    """Folders that must be written to: of the key ring (rotation replaces the file) and of a SQLite database."""
    needed = {"session.keys_file": Path(config.session.keys_file).parent}
    url = make_url(config.storage.url)
    if url.get_backend_name() == "sqlite" and url.database:
        needed["storage.url"] = Path(unquote(url.database)).parent
    if config.audit.archive is not None:
        needed["audit.archive.folder"] = config.audit.archive.folder
    found = []
    for key, folder in needed.items():
        existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
        if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
            mend = "let the gateway's user write it, or write another path"
            found.append((key, f"the folder {existing} can't be written to", mend))
    return found


def _archive(config: Config) -> list[Found]:
    """Whether the file that seals archives can be read."""
    archive = config.audit.archive
    if archive is None or archive.key_file is None:
        return []
    try:
        archive_secret(archive.key_file)
    except ArchiveFailed as error:
        return [("audit.archive.key_file", error.detail, "write a file with a secret of 12 bytes or more")]
    return []


class StoreCheck:
    """Asks each store and the directory; `found` is what is wrong with them."""

    def __init__(self, config: Config) -> None:
        self._config, self._clock = config, SharedClock()
        self.found: list[Found] = []

    async def run(self) -> None:
        """Ask them all."""
        if _is_new(self._config):
            self._keys([])  # opening the database would make it
        else:
            await self._try("storage.url", "start it, or mend the URL", self._database)
        if self._config.storage.state_url is not None:
            await self._try("storage.state_url", "start Redis, or mend the URL", self._state)

    async def _try(self, key: str, mend: str, work: Callable[[], Awaitable[object]]) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                await work()
        except ConfigError as error:
            self.found.extend((one.key, one.problem, one.mend) for one in error.mistakes)
        except (GatewayError, OSError, TimeoutError) as error:
            self.found.append((key, str(error) or "no answer in time", mend))

    async def _database(self) -> None:
        engine = open_engine(self._config.storage.url)
        try:
            await self._opened(engine)
        finally:
            await engine.dispose()

    async def _opened(self, engine: AsyncEngine) -> None:
        revision = await usable_revision(engine)
        await DatabaseClock(engine, self._clock).now()
        if self._clock.astray:
            problem = f"this machine's clock is {self._clock.ahead:+.0f} s off (at most {TOLERANCE:.0f} s)"
            self.found.append(("storage.url", problem, "mend the clocks (NTP)"))
        self._keys(await known_keys(engine) if revision >= _KEYS_KNOWN_SINCE else [])
        if revision:
            await self._directory(engine)

    def _keys(self, known: Sequence[str]) -> None:
        path = Path(self._config.session.keys_file)
        if not known and not path.exists():
            return  # the first start makes it
        try:
            ids = {key.id for key in KeyRing(path, self._clock).keys}
        except ConfigError as error:
            self.found.extend((one.key, f"{one.file}: {one.problem}", one.mend) for one in error.mistakes)
            return
        if known and not ids & set(known):
            mend = "write the path of the ring that the other replicas use; see `auth-gateway key list`"
            self.found.append(("session.keys_file", f"{path} is another key ring than the database's", mend))

    async def _directory(self, engine: AsyncEngine) -> None:
        passwords = PasswordHashing(self._config.passwords)
        bundle = build_directory(self._config, engine, passwords, self._clock)
        try:
            for name, check in bundle.checks.items():
                await self._try("directory", f"see that {name} answers", check)
        finally:
            await bundle.close()
            passwords.close()

    async def _state(self) -> None:
        state = redis_state(str(self._config.storage.state_url), self._clock)
        try:
            for check in state.checks.values():
                await check()
            await state.start()
        finally:
            await state.close()


def _is_new(config: Config) -> bool:
    """Whether the first start will make the database."""
    url = make_url(config.storage.url)
    return url.get_backend_name() == "sqlite" and not Path(unquote(url.database or "")).exists()
