"""`auth-gateway doctor`: looks at a gateway from all sides, says what is wrong and how to mend it, changes nothing."""

import asyncio
import http.client
import json
import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import click

from gateway.cli.check.live import live_mistakes
from gateway.cli.context import config_option
from gateway.cli.doctor import outside
from gateway.cli.doctor.symptoms import Symptom, of_metrics, of_readyz
from gateway.cli.health import ask
from gateway.clock import system_clock
from gateway.config.loader import Loaded, read
from gateway.config.schema import Config
from gateway.errors import ConfigError, GatewayError

_METRICS = 16 * 1024 * 1024
_PATIENCE = 30.0
"""Seconds: readyz waits for each store that does not answer."""


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@config_option
def doctor(as_json: bool, config_file: Path) -> None:
    """Say what is wrong with the gateway of this configuration, and how to mend it.

    Looks at the configuration, the keys, the stores and their clock and schema, the certificate, Twilio, and at what
    the running gateway says of itself. Exit code 0 if nothing is wrong, 1 if something is, 2 if the configuration is.
    """
    try:
        loaded = read(config_file, os.environ)
    except ConfigError as error:
        found = [
            Symptom(one.key, f"{one.file}:{one.line}: {one.problem}", one.mend) for one in error.mistakes
        ]
        _print(found, as_json)
        raise click.exceptions.Exit(2) from None
    found = list(examined(loaded, config_file))
    _print(found, as_json)
    raise click.exceptions.Exit(1 if any(one.wrong for one in found) else 0)


def examined(loaded: Loaded, file: Path) -> Iterator[Symptom]:
    """Look at everything; what is wrong comes as it is found."""
    config, now = loaded.config, system_clock()
    for warning in loaded.warnings:
        yield Symptom(warning.key, warning.problem, warning.mend, wrong=False)
    for mistake in live_mistakes(config, file):
        yield Symptom(mistake.key, mistake.problem, mistake.mend)
    yield from running(config)
    yield from outside.certificates(config, now)
    yield from asyncio.run(outside.twilio(config))
    try:
        yield from asyncio.run(outside.database(config, now))
    except (GatewayError, OSError):
        return  # found above, by asking the stores


def running(config: Config) -> Iterator[Symptom]:
    """What the gateway that listens there says of itself."""
    try:
        status, report = ask(config, "readyz", seconds=_PATIENCE)
        metrics_status, metrics = ask(config, "metrics", most=_METRICS, seconds=_PATIENCE)
    except (OSError, http.client.HTTPException) as error:
        problem = f"no gateway answers on {config.server.main[0]}: {error}"
        yield Symptom(
            "server.listen", problem, "start it (`auth-gateway serve`), or see its log for why it ended"
        )
        return
    try:
        said = json.loads(report)
    except ValueError:
        problem = f"what answers on {config.server.main[0]} is no gateway (status {status})"
        yield Symptom("server.listen", problem, "end the other program, or write another address")
        return
    yield from of_readyz(said)
    if metrics_status == 200:
        yield from of_metrics(metrics)
    else:
        problem = "the metrics may not be read from this machine"
        yield Symptom(
            "server.metrics_networks", problem, "add its address, for the doctor to see more", wrong=False
        )


def _print(found: list[Symptom], as_json: bool) -> None:
    wrong = [one for one in found if one.wrong]
    if as_json:
        click.echo(json.dumps({"ok": not wrong, "found": [asdict(one) for one in found]}, indent=2))
        return
    for one in sorted(found, key=lambda one: not one.wrong):
        click.echo(f"{'wrong' if one.wrong else 'look'}: {one.where}: {one.problem}")
        if one.mend:
            click.echo(f"    mend: {one.mend}")
    click.echo(f"{len(wrong)} wrong, {len(found) - len(wrong)} to look at" if found else "nothing is wrong")
