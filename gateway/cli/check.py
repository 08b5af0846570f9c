"""`auth-gateway check`: says whether a configuration is sound, and if not, everything that is wrong with it.

Reads the file, its secret files and certificates; starts nothing and connects to nothing.
"""

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from gateway.config.loader import Loaded, read
from gateway.config.schema import Route
from gateway.errors import ConfigError

UNSOUND = 2
_COLUMNS = ("host", "path", "upstream", "require")


@click.command()
@click.option("--config", "path", default="config.yaml", show_default=True, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Report for scripts.")
def check(path: Path, as_json: bool) -> None:
    """Check the configuration: exit 0, or 2 with every mistake, its line and how to mend it."""
    try:
        loaded = read(path, os.environ)
    except ConfigError as error:
        _report_mistakes(error, as_json)
        raise click.exceptions.Exit(UNSOUND) from None
    click.echo(json.dumps(_as_json(loaded), indent=2) if as_json else _summary(path, loaded))


def _report_mistakes(error: ConfigError, as_json: bool) -> None:
    if as_json:
        mistakes = [asdict(mistake) for mistake in error.mistakes]
        click.echo(json.dumps({"ok": False, "mistakes": mistakes}, indent=2))
        return
    count = len(error.mistakes)
    click.echo(str(error), err=True)
    click.echo(f"{count} mistake{'s' if count > 1 else ''}", err=True)


def _as_json(loaded: Loaded) -> dict[str, Any]:
    rows = [dict(zip(_COLUMNS, _row(route), strict=True)) for route in loaded.config.routes]
    return {"ok": True, "warnings": [asdict(warning) for warning in loaded.warnings], "routes": rows}


def _summary(path: Path, loaded: Loaded) -> str:
    server = loaded.config.server
    lines = [f"{path} is sound. {server.public_url} on {server.listen}", ""]
    lines += _table([_COLUMNS, *map(_row, loaded.config.routes)])
    lines += ["", *(f"warning: {warning}" for warning in loaded.warnings)]
    if not loaded.config.routes:
        lines.append("warning: there are no routes, so everything is 404")
    return "\n".join(lines).rstrip()


def _row(route: Route) -> tuple[str, ...]:
    return route.host, route.path, ", ".join(route.upstreams), route.policy.require


def _table(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
