"""`auth-gateway backup FILE` and `restore FILE`: the database and the keys in one sealed file, and back.

Without the keys a database is worth little: sessions, authenticator apps and API tokens are sealed with them.
"""

import asyncio
import json
import os
import queue
import threading
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from gateway import keyfile
from gateway.cli.context import Opened, config_option, run
from gateway.oidc.signing_keys import keys_path
from gateway.stores.sealed_file import BackupRefused, read_sealed, write_sealed
from gateway.stores.sql.dump import dump, load, tables_in_use
from gateway.stores.sql.migrate import newest_revision, usable_revision
from gateway.stores.sql.transactions import no_statement_timeout, writing

_SHORTEST = 12

key_file_option = click.option(
    "--key-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file whose content is the secret (at least 12 bytes), instead of a passphrase.",
)


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@key_file_option
@config_option
def backup(file: Path, key_file: Path | None, config_file: Path) -> None:
    """Write the database and the keys to FILE, sealed; the gateway goes on meanwhile.

    Asks for a passphrase, or reads it from AUTH_GATEWAY_BACKUP_PASSPHRASE. What is in Redis (attempts, codes that are
    out) is not kept.
    """
    secret = _secret(key_file, confirm=True)

    async def work(opened: Opened) -> int:
        loop = asyncio.get_running_loop()
        pieces: queue.Queue[bytes | BaseException | None] = queue.Queue(maxsize=4)
        stopped = threading.Event()

        def put(item: bytes | BaseException | None) -> None:
            while not stopped.is_set():
                with suppress(queue.Full):
                    pieces.put(item, timeout=0.5)
                    return

        def chunks() -> Iterator[bytes]:
            while (item := pieces.get()) is not None:
                if isinstance(item, BaseException):
                    raise item
                yield item

        def write() -> None:
            try:
                write_sealed(file, secret, chunks())
            finally:
                stopped.set()

        writer = loop.run_in_executor(None, write)
        rows = 0
        try:
            head = {
                "revision": await usable_revision(opened.engine),
                "at": opened.clock(),
                "keys": _keys(opened),
            }
            await asyncio.to_thread(put, _packed(head))
            async for piece in dump(opened.engine):
                rows += len(piece["rows"])
                await asyncio.to_thread(put, _packed(piece))
            await asyncio.to_thread(put, None)
        except BaseException as error:
            await asyncio.to_thread(put, error)
            raise
        finally:
            await writer
        await opened.record("backup_made", rows=rows)
        return rows

    click.echo(f"{run(config_file, work)} rows and the keys are in {file}")


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@key_file_option
@config_option
def restore(file: Path, key_file: Path | None, config_file: Path) -> None:
    """Put what `backup` wrote into an empty place: a new database, and no key files yet.

    The whole file is checked first. SQLite may be restored to PostgreSQL and the other way round.
    """
    secret = _secret(key_file, confirm=False)

    async def work(opened: Opened) -> int:
        head = None
        for chunk in read_sealed(file, secret):  # all of it, before anything is written
            head = head or _unpacked(chunk)
        if head is None or "revision" not in head:
            raise BackupRefused(f"{file} is no backup of auth-gateway")
        if head["revision"] > newest_revision():
            raise BackupRefused(f"{file} is of a newer version: restore it with that one")
        await _check_empty(opened, head)
        pieces = (_unpacked(chunk) for number, chunk in enumerate(read_sealed(file, secret)) if number)
        async with writing(opened.engine) as connection:
            await no_statement_timeout(connection)
            rows = await load(connection, pieces)
            for path, content in zip(_paths(opened), head["keys"], strict=True):
                if content is not None:
                    _write_keys(path, content)
        await opened.record("backup_restored", rows=rows)
        return rows

    click.echo(f"{run(config_file, work)} rows and the keys are restored from {file}; start the gateway")


async def _check_empty(opened: Opened, head: dict[str, Any]) -> None:
    """Raises BackupRefused: two installations must not become one by mistake."""
    if used := await tables_in_use(opened.engine):
        raise BackupRefused(f"the database has {', '.join(used)} already: restore into an empty one")
    for path, content in zip(_paths(opened), head["keys"], strict=True):
        if content is not None and path.exists():
            raise BackupRefused(f"{path} is there already: move it away first")


def _paths(opened: Opened) -> list[Path]:
    return [Path(opened.config.session.keys_file), keys_path(opened.config)]


def _keys(opened: Opened) -> list[str | None]:
    """The key files' content, None for one that is not there. Raises BackupRefused without a key ring."""
    contents = [path.read_text() if path.exists() else None for path in _paths(opened)]
    if contents[0] is None and not opened.first:
        raise BackupRefused(
            f"the key ring {_paths(opened)[0]} is missing: without it a backup restores nothing"
        )
    return contents


def _write_keys(path: Path, content: str) -> None:
    keyfile.create(path, json.loads(content)["keys"])


def _secret(key_file: Path | None, *, confirm: bool) -> bytes:
    if key_file is not None:
        secret = key_file.read_bytes().strip()
    elif (given := os.environ.get("AUTH_GATEWAY_BACKUP_PASSPHRASE")) is not None:
        secret = given.encode()
    else:
        secret = click.prompt("Passphrase", hide_input=True, confirmation_prompt=confirm, err=True).encode()
    if len(secret) < _SHORTEST:
        raise click.UsageError(f"the passphrase or key file needs at least {_SHORTEST} characters")
    return secret


def _packed(piece: dict[str, Any]) -> bytes:
    return zlib.compress(json.dumps(piece).encode())


def _unpacked(chunk: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(zlib.decompress(chunk))
    return found
