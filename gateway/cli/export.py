"""`auth-gateway export ENGINE`: a complete configuration for another proxy, written from ours."""

import os
from dataclasses import replace
from pathlib import Path

import click

from gateway.cli.context import config_option
from gateway.clock import system_clock
from gateway.config.loader import load
from gateway.config.schema import Config
from gateway.engines import caddy, envoy, haproxy, nginx, traefik
from gateway.engines.plan import EnginePlan, plan
from gateway.errors import ConfigError
from gateway.keyring import KeyRing

ENGINES = ("nginx", "haproxy", "traefik", "caddy", "envoy")
_PATH = click.Path(path_type=Path)


@click.command()
@click.argument("engine", type=click.Choice(ENGINES))
@config_option
@click.option(
    "--output", type=_PATH, help="Folder to write to; HAProxy needs its key files there. Default: print."
)
@click.option(
    "--listen", default="", help='Where the engine listens, "host:port". Default: the port of public_url.'
)
@click.option("--gateway", default="", help='Where the engine reaches the gateway. Default: "server.listen".')
@click.option("--certificate", type=_PATH, help="PEM chain for https. Default: that of server.tls.")
@click.option("--key", type=_PATH, help="Its key.")
def export(
    engine: str,
    config_file: Path,
    output: Path | None,
    listen: str,
    gateway: str,
    certificate: Path | None,
    key: Path | None,
) -> None:
    """Write a complete configuration for ENGINE."""
    try:
        config = load(config_file, os.environ)
        state = output.resolve() if output else None
        planned = plan(
            config,
            engine=engine,
            listen=listen,
            gateway=gateway,
            certificate=certificate,
            key=key,
            state=state,
        )
        files = export_files(engine, planned, config)
    except ConfigError as error:
        for mistake in error.mistakes:
            click.echo(f"auth-gateway: {replace(mistake, file=str(config_file))}", err=True)
        raise click.exceptions.Exit(2) from None
    _deliver(files, output)


def export_files(engine: str, planned: EnginePlan, config: Config) -> dict[str, str]:
    """File name -> content; the first is the configuration itself."""
    if engine == "haproxy":
        ring = KeyRing(Path(config.session.keys_file), system_clock)
        keys = {f"pass-{key.kid}.pem": key.as_pem(private=False).decode() for key in ring.signing_keys}
        return haproxy.export(planned, keys)
    simple = {"nginx": nginx.export, "caddy": caddy.export, "traefik": traefik.export, "envoy": envoy.export}
    return simple[engine](planned)


def _deliver(files: dict[str, str], output: Path | None) -> None:
    if output is None:
        first, *others = files
        click.echo(files[first], nl=False)
        if others:
            click.echo(f"also needed: {', '.join(others)}; use --output FOLDER", err=True)
        return
    output.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (output / name).write_text(content)
        click.echo(output / name)
