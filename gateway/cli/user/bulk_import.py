"""`auth-gateway user import`: users from htpasswd, CSV or YAML; none at all if one is bad, unless --skip-bad.

Every bad line is reported; hashes are kept and replaced by ours at each user's next sign-in.
"""

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click

from gateway.cli.context import Opened, config_option, run
from gateway.directory import identifiers
from gateway.directory.user_files import READERS, BadLine, ImportedUser
from gateway.errors import GatewayError
from gateway.model import User

BATCH = 200
"""Users in one transaction: a few milliseconds."""
PAUSE = 0.01
"""Seconds between two transactions, in which others get their turn."""
_SUFFIXES = {".csv": "csv", ".yaml": "yaml", ".yml": "yaml", ".htpasswd": "htpasswd"}


@click.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path))
@click.option(
    "--format", "kind", type=click.Choice(list(READERS)), help="Default: what the file's name says."
)
@click.option("--dry-run", is_flag=True, help="Report what would happen; change nothing.")
@click.option("--skip-bad", is_flag=True, help="Import the good lines although others are bad.")
@config_option
def import_users(file: Path, kind: str | None, dry_run: bool, skip_bad: bool, config_file: Path) -> None:
    """Import users from a file. FILE is htpasswd, CSV with a header line, or YAML."""
    lines = list(READERS[kind or _kind(file)](_content(file)))
    bad = [line for line in lines if isinstance(line, BadLine)]
    entries = [line for line in lines if isinstance(line, ImportedUser)]

    async def work(opened: Opened) -> tuple[int, list[BadLine]]:
        good, refused = await sorted_out(opened, entries)
        problems = sorted(bad + refused, key=lambda line: line.line)
        if dry_run or (problems and not skip_bad):
            return len(good), problems
        users = await hashed(opened, good)
        await _added(opened, users)
        await opened.record("users_imported", count=len(users), file=file.name)
        return len(users), problems

    count, problems = run(config_file, work)
    for problem in problems:
        click.echo(f"{file}:{problem.line}: {problem.problem}", err=True)
    click.echo(_summary(count, problems, dry_run, skip_bad))
    sys.exit(1 if problems else 0)


async def sorted_out(
    opened: Opened, entries: Sequence[ImportedUser]
) -> tuple[list[ImportedUser], list[BadLine]]:
    """The entries that can be added, in canonical spelling, and what is wrong with the others."""
    taken = await opened.directory.usernames()
    good: list[ImportedUser] = []
    bad: list[BadLine] = []
    for entry in entries:
        try:
            user = identifiers.checked_new(entry.user, country=opened.config.sms.default_country)
            if entry.password is not None:
                await opened.passwords.strength.check(entry.password, user)
        except GatewayError as error:
            bad.append(BadLine(entry.line, error.public if "public" in vars(error) else error.detail))
            continue
        if user.username in taken:
            bad.append(BadLine(entry.line, f"there is a user {user.username} already"))
        else:
            taken.add(user.username)
            good.append(replace(entry, user=user))
    return good, bad


async def hashed(opened: Opened, entries: Sequence[ImportedUser]) -> list[User]:
    """Hashing takes a moment for each user: the bar on stderr appears only on a terminal."""
    with click.progressbar(entries, label="hashing", file=sys.stderr, hidden=not sys.stderr.isatty()) as bar:
        return [await opened.directory.prepared(entry.user, entry.password) for entry in bar]


async def _added(opened: Opened, users: Sequence[User]) -> None:
    """Some hundreds in a transaction: SQLite has one writer, and sign-ins write as well."""
    with click.progressbar(
        length=len(users), label="adding", file=sys.stderr, hidden=not sys.stderr.isatty()
    ) as bar:
        for start in range(0, len(users), BATCH):
            batch = users[start : start + BATCH]
            try:
                await opened.directory.add_all(batch)
            except GatewayError as error:
                # Names were checked before: somebody else adds users, too.
                raise GatewayError(
                    f"{start} users were added, then: {error.detail}; say it again with --skip-bad"
                ) from error
            bar.update(len(batch))
            await asyncio.sleep(PAUSE)


def _kind(file: Path) -> str:
    if kind := _SUFFIXES.get(file.suffix.lower()) or _SUFFIXES.get(file.name.lower()):
        return kind
    if "htpasswd" in file.name.lower():
        return "htpasswd"
    raise click.UsageError(f"{file}: what is it? Say --format htpasswd, csv or yaml.")


def _content(file: Path) -> str:
    try:
        with click.open_file(str(file), encoding="utf-8-sig") as stream:
            return str(stream.read())
    except UnicodeDecodeError:
        raise click.UsageError(f"{file} is not UTF-8 text.") from None


def _summary(count: int, problems: Sequence[BadLine], dry_run: bool, skip_bad: bool) -> str:
    lines = f"{len(problems)} bad line{'' if len(problems) == 1 else 's'}"
    if dry_run:
        return f"would import {count if skip_bad or not problems else 0}, {lines}"
    if problems and not skip_bad:
        return f"imported 0, {lines}: mend them, or say --skip-bad to import the other {count}"
    return f"imported {count}, {lines}"
