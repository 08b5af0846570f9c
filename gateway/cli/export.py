"""`auth-gateway export ENGINE`: a complete configuration for another proxy, written from ours."""

import hashlib
import os
import re
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
@click.option(
    "--include",
    is_flag=True,
    help="Only what goes into an nginx.conf (its http block) or a Caddyfile of yours.",
)
@click.option(
    "--check", type=_PATH, metavar="FILE", help="Only say whether this export is older than config.yaml."
)
def export(
    engine: str,
    config_file: Path,
    output: Path | None,
    listen: str,
    gateway: str,
    certificate: Path | None,
    key: Path | None,
    include: bool,
    check: Path | None,
) -> None:
    """Write a complete configuration for ENGINE."""
    if include and engine not in ("nginx", "caddy"):
        raise click.UsageError(f"--include is for nginx and caddy; {engine} reads a file of its own")
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
            included=include,
        )
        files = export_files(engine, planned, config)
        digest = digest_of(engine, config)
    except ConfigError as error:
        for mistake in error.mistakes:
            click.echo(f"auth-gateway: {replace(mistake, file=str(config_file))}", err=True)
        raise click.exceptions.Exit(2) from None
    if check:
        _compare(check, digest, engine)
    else:
        _deliver(stamped(files, digest), output)


def digest_of(engine: str, config: Config) -> str:
    """Return what changes whenever an export would: with config.yaml, the keys, and this program's own version of it.

    Addresses and files given on the command line have no part in it.
    """
    nowhere = Path("/nowhere")
    planned = plan(
        config, engine=engine, listen="0.0.0.0:1", gateway="0.0.0.0:2", certificate=nowhere, key=nowhere
    )
    parts = (part for item in export_files(engine, planned, config).items() for part in item)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def stamped(files: dict[str, str], digest: str) -> dict[str, str]:
    """The same files; the first tells below its first line what it was made from."""
    (first, content), *others = files.items()
    head, _, rest = content.partition("\n")
    return {first: f"{head}\n{_STAMP}{digest}\n{rest}", **dict(others)}


_STAMP = "# Made from a configuration with the digest "


def _compare(file: Path, digest: str, engine: str) -> None:
    """Exit with 1 if the file was made from another configuration."""
    try:
        found = re.search(f"^{_STAMP}([0-9a-f]+)$", file.read_text(), re.MULTILINE)
    except (OSError, UnicodeDecodeError) as error:
        raise click.UsageError(f"{file} can't be read: {error}") from None
    if found is None:
        click.echo(f"{file}: no digest in it; write it again with `auth-gateway export {engine}`")
        raise click.exceptions.Exit(1)
    if found[1] != digest:
        click.echo(
            f"{file}: older than the configuration; write it again with `auth-gateway export {engine}`"
        )
        raise click.exceptions.Exit(1)
    click.echo(f"{file}: as the configuration says")


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
