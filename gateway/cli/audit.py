"""`auth-gateway audit tail`: what happened, newest last."""

import asyncio
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import click

from gateway.cli.context import Opened, config_option, run
from gateway.config.names import user_name
from gateway.stores.audit_archive import ArchiveFailed, read_archive
from gateway.stores.protocols.core import AuditRow

_POLL_SECONDS = 0.5


@click.group()
def audit() -> None:
    """Read the audit log."""


@audit.command()
@click.option("-n", "--lines", type=click.IntRange(min=0), default=20, show_default=True, help="How many.")
@click.option("-f", "--follow", is_flag=True, help="Wait for more, until Ctrl-C.")
@click.option("--user", "username", help="Only this user's.")
@click.option("--event", help='Only this event, such as "login".')
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
@config_option
def tail(
    lines: int, follow: bool, username: str | None, event: str | None, as_json: bool, config_file: Path
) -> None:
    """Print the newest events, oldest first."""
    name = None if username is None else user_name(username)

    async def work(opened: Opened) -> None:
        cursor = await opened.audit.latest()
        _print(await opened.audit.tail(lines, username=name, event=event, until=cursor), as_json)
        while follow:
            await asyncio.sleep(_POLL_SECONDS)
            cursor, rows = await opened.audit.since(cursor, username=name, event=event)
            _print(rows, as_json)

    with suppress(KeyboardInterrupt):
        run(config_file, work)


@audit.command()
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option(
    "--key-file", type=click.Path(path_type=Path), help="`audit.archive.key_file`, for sealed ones."
)
@click.option("--user", "username", help="Only this user's.")
@click.option("--event", help='Only this event, such as "login".')
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
def read(
    files: Sequence[Path], key_file: Path | None, username: str | None, event: str | None, as_json: bool
) -> None:
    """Print what is in FILES, which `audit.archive` wrote, oldest first; no row twice."""
    name = None if username is None else user_name(username)
    seen: set[object] = set()
    try:
        for file in sorted(files):
            for line in read_archive(file, key_file):
                wanted = name in (None, line["username"]) and event in (None, line["event"])
                if wanted and line["id"] not in seen:
                    fields = {key: line[key] for key in ("at", "event", "username", "ip", "data")}
                    _print([AuditRow(**fields)], as_json)  # type: ignore[arg-type]
                seen.add(line["id"])
    except (ArchiveFailed, KeyError, TypeError) as error:
        raise click.ClickException(
            error.detail if isinstance(error, ArchiveFailed) else f"{file}: {error}"
        ) from None


def _print(rows: Sequence[AuditRow], as_json: bool) -> None:
    for row in rows:
        click.echo(json.dumps(as_event(row), ensure_ascii=False) if as_json else _as_line(row))


def as_event(row: AuditRow) -> dict[str, object]:
    """Return a row for scripts: `user` as in the log; `username` is its older name and goes with 0.4."""
    return {"at": row.at, "event": row.event, "user": row.username, **asdict(row)}


def _as_line(row: AuditRow) -> str:
    at = datetime.fromtimestamp(row.at, UTC).isoformat(timespec="milliseconds")
    data = " ".join(f"{key}={_quoted(value)}" for key, value in row.data.items())
    return f"{at} {row.event} {_quoted(row.username)} {row.ip or '-'} {data}".rstrip()


def _quoted(value: object) -> str:
    """JSON that keeps what a visitor typed from moving the terminal's cursor; words of any language stay readable."""
    readable = json.dumps(value, ensure_ascii=False)
    return readable if readable.isprintable() else json.dumps(value)
