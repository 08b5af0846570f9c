"""`auth-gateway health`: asks the listener itself, as a container engine's health check does."""

import http.client
import os
import socket
import ssl
from pathlib import Path
from urllib.parse import urlsplit

import click

from gateway.config.loader import load
from gateway.config.schema import Config
from gateway.errors import ConfigError

SECONDS = 4.0
_ANY = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "*": "127.0.0.1", "::": "::1"}  # noqa: S104 - where to ask


@click.command()
@click.option("--ready", is_flag=True, help="Ask readyz: the stores must answer and take writes, too.")
@click.option(
    "--config",
    "config_file",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("config.yaml"),
    show_default=True,
    envvar="CONFIG",
    help="The configuration file (also $CONFIG).",
)
def health(ready: bool, config_file: Path) -> None:
    """Exit 0 if the gateway of this configuration answers where it listens, else 1. Speaks TLS where it does."""
    try:
        config = load(config_file, os.environ)
        status, body = ask(config, "readyz" if ready else "healthz")
    except ConfigError as error:
        click.echo(f"auth-gateway: {error}", err=True)
        raise click.exceptions.Exit(2) from None
    except (OSError, http.client.HTTPException) as error:
        click.echo(f"auth-gateway: nothing answers on {config.server.main[0]}: {error}", err=True)
        raise click.exceptions.Exit(1) from None
    click.echo(body, err=status != 200)
    raise click.exceptions.Exit(0 if status == 200 else 1)


def ask(config: Config, endpoint: str, *, most: int = 64 * 1024, seconds: float = SECONDS) -> tuple[int, str]:
    """Return status and body of an endpoint such as `readyz`: at most `most` bytes, waited for `seconds` each time.

    Raises OSError and http.client.HTTPException.
    """
    server = config.server
    public = urlsplit(server.public_url)
    connection = http.client.HTTPConnection(public.netloc, timeout=SECONDS)
    connection.sock = _connected(server.main[0])
    connection.sock.settimeout(seconds)
    if server.tls is not None:
        # The certificate is for the public name and for browsers; here we know whom we ask.
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection.sock = context.wrap_socket(connection.sock, server_hostname=public.hostname)
    try:
        connection.request("GET", f"{server.prefix}/{endpoint}", headers={"Connection": "close"})
        answer = connection.getresponse()
        return answer.status, answer.read(most).decode(errors="replace")
    finally:
        connection.close()


def _connected(listen: str) -> socket.socket:
    if listen.startswith("unix:"):
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(SECONDS)
        sock.connect(listen.removeprefix("unix:"))
        return sock
    host, _, port = listen.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    return socket.create_connection((_ANY.get(host, host), int(port)), SECONDS)
