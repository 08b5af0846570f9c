"""What all importers end with: tell what would be done, or do it, in the order that leaves nobody without a factor.

Authenticator apps are stored before their users, so nobody is ever here with a password alone who had more.
"""

import asyncio
import os
import secrets
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import click
import pyotp

from gateway.cli.context import Opened, run
from gateway.cli.importers.comparison import Row, compare, table
from gateway.cli.importers.findings import Found, ImportedTotp, LeftOut, as_yaml, users_of
from gateway.cli.user.bulk_import import hashed, sorted_out
from gateway.config.loader import read_text
from gateway.config.names import checked_user_name
from gateway.config.schema import Config
from gateway.directory import identifiers
from gateway.directory.user_files import BadLine, ImportedUser
from gateway.errors import ConfigError, GatewayError
from gateway.stores.protocols.core import Credential

Reader = Callable[[], Awaitable[Found]]


@dataclass(frozen=True)
class Counts:
    """How much there is to take over, and what is left out."""

    users: int
    apps: int
    left_out: list[LeftOut]


def take_over(source: str, read: Reader, output: Path | None, config_file: Path, *, apply: bool) -> None:
    """Tell what an original has and who could pass there, and with `apply` take it over.

    Exits with 0; 1 where something needs the operator's hand; 3 where the import stops, because it would let in
    more people than the original, and then neither writes nor stores anything.
    """
    found = asyncio.run(_checked(read))
    config, mistakes = _understood(found, source)
    rows = compare(found.original, config, users_of(found)) if found.original and config else []
    # Where a limit is missing, looser answers follow from it, and the table shows them: they ask for nothing more.
    stops = found.stops or tuple(_looser(row) for row in rows if row.looser)
    counts = _counted(found, source, config_file, apply=apply and not stops)
    if found.config and not stops:
        _write(as_yaml(found, source), output)
    for one in (*found.left_out, *counts.left_out, *mistakes):
        click.echo(f"left out: {one.where}: {one.why}", err=True)
    would = "" if apply and not stops else "would be "
    click.echo(
        f"{counts.users} users and {counts.apps} authenticator apps {would}imported", err=bool(found.config)
    )
    if rows:
        click.echo("\n".join(table(rows)), err=True)
    for one in stops:
        click.echo(f"stops here: {one.where}: {one.why}", err=True)
    if stops:
        click.echo(
            "nothing was written or imported: mend what the lines above name, then import again", err=True
        )
        sys.exit(3)
    if not apply:
        click.echo("nothing was changed; say --apply to do it", err=True)
    sys.exit(1 if counts.left_out or mistakes else 0)


async def _checked(read: Reader) -> Found:
    try:
        return await read()
    except GatewayError as error:
        click.echo(f"auth-gateway: {error.detail}", err=True)
        sys.exit(1)


def _looser(row: Row) -> LeftOut:
    """A mistake of ours in the translation: told, never acted upon."""
    who = ", ".join(row.people[:4])
    return LeftOut(row.sample.rule, f"{row.sample.method} {row.sample.host}{row.sample.path} opens to {who}")


def _write(text: str, output: Path | None) -> None:
    if output:
        output.write_text(text)
    else:
        click.echo(text)


def _counted(found: Found, source: str, config_file: Path, *, apply: bool) -> Counts:
    """Whom and what the database takes. Telling needs no database of ours: without one nobody is here yet."""
    if not apply and not config_file.exists():
        good, bad = [], [one for one in found.people if isinstance(one, BadLine)]
        for one in found.people:
            if isinstance(one, ImportedUser):
                try:
                    identifiers.checked_new(one.user)
                    good.append(one)
                except GatewayError as error:
                    bad.append(BadLine(one.line, error.detail))
        return Counts(len(good), len(found.apps), [LeftOut(f"line {one.line}", one.problem) for one in bad])

    async def work(opened: Opened) -> Counts:
        return await _take_over(opened, found, source, apply=apply)

    return run(config_file, work)


async def _take_over(opened: Opened, found: Found, source: str, *, apply: bool) -> Counts:
    entries = [one for one in found.people if isinstance(one, ImportedUser)]
    good, bad = await sorted_out(opened, entries)
    bad += [one for one in found.people if isinstance(one, BadLine)]
    left_out = [LeftOut(f"line {one.line}", one.problem) for one in bad]
    apps = [app for app in found.apps if await _fits(opened, app, good, left_out)]
    if apply:
        for app in apps:
            await opened.credentials.add(_credential(app, opened.clock()))
        users = await hashed(opened, good)
        await opened.directory.add_all(users)
        await opened.record("users_imported", count=len(users), apps=len(apps), source=source)
    return Counts(len(good), len(apps), left_out)


async def _fits(opened: Opened, app: ImportedTotp, good: list[ImportedUser], left_out: list[LeftOut]) -> bool:
    """Only for users who come along now, or who are here without an app."""
    where = f"authenticator app of {app.username}"
    try:
        pyotp.TOTP(app.secret).now()
        username = checked_user_name(app.username)
    except (GatewayError, ValueError):
        left_out.append(LeftOut(where, "its secret is not base32, or of less than 112 bits: enrol again"))
        return False
    coming = username in {entry.user.username for entry in good}
    if not coming and await opened.directory.get(username) is None:
        left_out.append(LeftOut(where, "there is no such user"))
        return False
    if await opened.credentials.list(username, "totp"):
        left_out.append(LeftOut(where, "this user has one already"))
        return False
    return True


def _credential(app: ImportedTotp, now: float) -> Credential:
    secret = app.secret.upper().replace(" ", "").rstrip("=").encode()
    username = checked_user_name(app.username)
    return Credential(
        id=secrets.token_urlsafe(16),
        username=username,
        kind="totp",
        name="Authenticator app",
        secret=secret,
        created_at=now,
    )


def _understood(found: Found, source: str) -> tuple[Config | None, list[LeftOut]]:
    """The configuration that is written, and what `check` would say of it."""
    if not found.config:
        return None, []
    try:
        return read_text(as_yaml(found, source), source, os.environ).config, []
    except ConfigError as error:
        return None, [
            LeftOut(one.key or "config", f"{one.problem}: mend it by hand") for one in error.mistakes
        ]
