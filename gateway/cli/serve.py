"""`auth-gateway serve`: read the configuration, open the sockets, hand over to the workers."""

import asyncio
import logging
import os
import resource
import sys
from pathlib import Path

import click
from sqlalchemy import select

from gateway.clock import system_clock
from gateway.config.loader import load, read
from gateway.config.schema import Config, DirectoryDatabase
from gateway.errors import ConfigError, GatewayError
from gateway.observability.log import configure
from gateway.observability.metrics_directory import shared_metrics
from gateway.server.first_start import open_keys
from gateway.server.process.config_source import ConfigSource
from gateway.server.process.engine import Engine
from gateway.server.process.generation import worker_count
from gateway.server.process.listener_set import ListenerSet
from gateway.server.process.memory import preload, return_freed_blocks
from gateway.server.process.supervisor import Supervisor
from gateway.server.tls.context import shared_context
from gateway.stores.sql.engine import open_engine
from gateway.stores.sql.migrate import migrate
from gateway.stores.sql.schema import users
from gateway.stores.sql.transactions import reading

log = logging.getLogger("gateway.serve")


@click.command()
@click.option(
    "--config",
    "config_file",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("config.yaml"),
    show_default=True,
    help="The configuration file.",
)
def serve(config_file: Path) -> None:
    """Serve what the configuration says.

    SIGHUP reloads it, and a change of its files with `server.reload: on_change`.
    SIGTERM lets running requests finish, twice stops at once.
    """
    try:
        loaded = read(config_file, os.environ)
        config = loaded.config
        source = ConfigSource(config, lambda: load(config_file, os.environ))
        configure(config.log)
        shared_context(config.server.tls)
        for warning in loaded.warnings:
            log.warning("%s", warning)
        raise_file_limit()
        return_freed_blocks()
        hint = "" if asyncio.run(prepare(config)) else first_user_hint(config_file)
        sys.exit(run(config, source, hint))
    except ConfigError as error:
        click.echo(f"{error}\n\nNothing was started: mend {config_file}, then try again.", err=True)
        sys.exit(2)
    except GatewayError as error:
        click.echo(f"auth-gateway: {error}", err=True)
        sys.exit(1)


def first_user_hint(config_file: Path) -> str:
    return f"\nNo users yet: auth-gateway user add NAME --phone +... --config {config_file}"


def run(config: Config, source: ConfigSource, hint: str = "") -> int:
    """Listen and serve with as many processes as configured; `hint` is told once ready. Returns the exit status."""
    engine = Engine(config) if config.server.engine == "envoy" else None
    server = config.server
    if engine:
        listeners = ListenerSet.of(server.plain, first=[engine.new_listeners()])
    else:
        listeners = ListenerSet.of(server.listens)
    count = worker_count(config)
    listeners.grow(count)

    def on_ready() -> None:
        behind = f", behind Envoy {engine.version}" if engine else ""
        click.echo(f"auth-gateway ready: {describe(config, count)}{behind}{hint}", err=True)

    try:
        with shared_metrics():
            preload(
                "gateway.server.gateway"
            )  # not before: metrics choose their storage when they are imported
            return Supervisor(config, listeners, source=source, on_ready=on_ready, engine=engine).run()
    finally:
        if engine:
            engine.close()


async def prepare(config: Config) -> bool:
    """Bring the database up to date and open the key ring, once, before several workers would all want to.

    Returns whether there is anybody who could sign in. Raises ConfigError and StoreUnavailable.
    """
    engine = open_engine(config.storage.url)
    try:
        await migrate(engine)
        await open_keys(engine, config, system_clock)
        if not isinstance(config.directory, DirectoryDatabase):
            return True  # they are looked after elsewhere
        async with reading(engine) as connection:
            return (await connection.execute(select(users.c.username).limit(1))).first() is not None
    finally:
        await engine.dispose()


def describe(config: Config, count: int) -> str:
    """Where browsers go, what serves them, and where it listens."""
    workers = "1 worker" if count == 1 else f"{count} workers"
    return f"{config.server.public_url} ({workers} on {', '.join(config.server.listens)})"


def raise_file_limit() -> None:
    """Each proxied connection costs two descriptors; the usual soft limit, 1024, only serves select()."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (ValueError, OSError):  # macOS names a hard limit that it refuses to grant
        return
