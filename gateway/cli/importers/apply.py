"""What all importers end with: tell what would be done, or do it, in the order that leaves nobody without a factor.

Authenticator apps are stored before their users, so nobody is ever here with a password alone who had more.
"""

import os
import secrets
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import click
import pyotp

from gateway.cli.context import Opened, run
from gateway.cli.importers.findings import Found, ImportedTotp, LeftOut, as_yaml
from gateway.cli.user.bulk_import import hashed, sorted_out
from gateway.config.loader import read_text
from gateway.directory import identifiers
from gateway.directory.user_files import BadLine, ImportedUser
from gateway.errors import ConfigError, GatewayError
from gateway.stores.protocols.core import Credential

Reader = Callable[[], Awaitable[Found]]


@dataclass(frozen=True)
class Counts:
    users: int
    apps: int
    left_out: list[LeftOut]


def take_over(source: str, read: Reader, output: Path | None, config_file: Path, *, apply: bool) -> None:
    async def work(opened: Opened) -> tuple[Found, Counts]:
        found = await read()
        return found, await _take_over(opened, found, source, apply=apply)

    found, counts = run(config_file, work)
    mistakes = _mistakes(found, source)
    if found.config:
        text = as_yaml(found, source)
        if output:
            output.write_text(text)
        else:
            click.echo(text)
    for one in (*found.left_out, *counts.left_out, *mistakes):
        click.echo(f"left out: {one.where}: {one.why}", err=True)
    would = "" if apply else "would be "
    click.echo(
        f"{counts.users} users and {counts.apps} authenticator apps {would}imported", err=bool(found.config)
    )
    if not apply:
        click.echo("nothing was changed; say --apply to do it", err=True)
    sys.exit(1 if counts.left_out or mistakes else 0)


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
        username = identifiers.username(app.username)
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
    username = identifiers.username(app.username)
    return Credential(secrets.token_urlsafe(16), username, "totp", "Authenticator app", secret, now)


def _mistakes(found: Found, source: str) -> list[LeftOut]:
    """What `check` would say of the configuration that is written."""
    if not found.config:
        return []
    try:
        read_text(as_yaml(found, source), source, os.environ)
    except ConfigError as error:
        return [LeftOut(one.key or "config", f"{one.problem}: mend it by hand") for one in error.mistakes]
    return []
