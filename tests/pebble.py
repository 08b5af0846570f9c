"""Pebble, Let's Encrypt's own ACME server for tests, with its DNS server; each on free loopback ports.

`go install github.com/letsencrypt/pebble/v2/cmd/pebble@v2.10.3` and `…/pebble-challtestsrv@v2.10.3` build them.
"""

import contextlib
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.server.tls.acme.bundle import Bundle
from tests.sending import write_certificate
from tests.services import missing
from tests.waiting import PATIENCE, free_port

HOOK = """
import json, sys, urllib.request
management, log, verb, name, value = sys.argv[1:]
open(log, "a").write(f"{verb} {name} {value}\\n")
path = "set-txt" if verb == "present" else "clear-txt"
body = json.dumps({"host": f"{name}.", "value": value}).encode()
urllib.request.urlopen(f"{management}/{path}", body, timeout=60)
"""


@dataclass
class Pebble:
    """A running authority.

    Args:
        folder: where its files are.
        directory: the URL of its directory.
        ca_file: vouches for that URL.
        http_port: where it asks for proofs (http-01), at 127.0.0.1 whatever the name.
        management: the URL where tests tell the DNS server what to answer.
    """

    folder: Path
    directory: str
    ca_file: Path
    http_port: int
    management: str
    manager: str

    def hook(self) -> list[str]:
        """A `dns_hook` that publishes records in its DNS; `hooked` tells what it was asked."""
        script = self.folder / "hook.py"
        script.write_text(HOOK)
        return [sys.executable, str(script), self.management, str(self.folder / "hook.log")]

    @property
    def hooked(self) -> list[str]:
        log = self.folder / "hook.log"
        return log.read_text().splitlines() if log.exists() else []

    def renew_now(self, bundle: Bundle) -> None:
        """Say, when asked, that this certificate should have been renewed already (RFC 9773 §4.2)."""
        window = {"start": "2020-01-01T00:00:00Z", "end": "2020-01-02T00:00:00Z"}
        body = {
            "certificate": bundle.chain[: bundle.chain.index("-----END CERTIFICATE-----") + 26],
            "ariResponse": json.dumps({"suggestedWindow": window}),
        }
        context = ssl.create_default_context(cafile=str(self.ca_file))
        request = urllib.request.Request(f"{self.manager}/set-renewal-info/", json.dumps(body).encode())
        with urllib.request.urlopen(request, timeout=PATIENCE, context=context):
            pass

    def root(self) -> str:
        """The certificate that signs those it issues."""
        context = ssl.create_default_context(cafile=str(self.ca_file))
        with urllib.request.urlopen(f"{self.manager}/roots/0", timeout=PATIENCE, context=context) as answer:
            return str(answer.read().decode())


def program(name: str) -> str:
    """Where it is: on the PATH, or where `go install` puts it."""
    found = shutil.which(name) or str(Path.home() / "go" / "bin" / name)
    if not Path(found).exists():
        reason = f"{name} is not installed (go install github.com/letsencrypt/pebble/v2/cmd/{name}@v2.10.3)"
        if shutil.which("go") is None:
            pytest.skip(reason)  # CI builds it where Go is
        missing(reason)
    return found


@contextlib.contextmanager
def pebble(folder: Path) -> Iterator[Pebble]:
    """Start both; gone afterwards."""
    programs = program("pebble"), program("pebble-challtestsrv")
    ports = [free_port() for _ in range(6)]
    listen, manager, proofs, tls, dns, management = ports
    certificate, key = write_certificate(folder)
    settings = {
        "listenAddress": f"127.0.0.1:{listen}",
        "managementListenAddress": f"127.0.0.1:{manager}",
        "certificate": str(certificate),
        "privateKey": str(key),
        "httpPort": proofs,
        "tlsPort": tls,
        "keyAlgorithm": "ecdsa",
        "retryAfter": {"authz": 1, "order": 1},
        "profiles": {"default": {"description": "as at Let's Encrypt", "validityPeriod": 7776000}},
    }
    (folder / "pebble.json").write_text(json.dumps({"pebble": settings}))
    names = [f"-dnsserver=127.0.0.1:{dns}", f"-management=127.0.0.1:{management}", "-http01=", "-https01="]
    names += ["-tlsalpn01=", "-doh=", "-defaultIPv6=", "-defaultIPv4=127.0.0.1"]
    environment = {**os.environ, "PEBBLE_VA_NOSLEEP": "1", "PEBBLE_AUTHZREUSE": "0"}
    with (
        (folder / "pebble.log").open("w") as log,
        _running([programs[1], *names], log.fileno(), environment),
        _running(
            [programs[0], "-config", str(folder / "pebble.json"), "-dnsserver", f"127.0.0.1:{dns}"],
            log.fileno(),
            environment,
        ),
    ):
        for port in (listen, manager, management):
            _wait_for(port, folder / "pebble.log")
        yield Pebble(
            folder=folder,
            directory=f"https://localhost:{listen}/dir",
            ca_file=certificate,
            http_port=proofs,
            management=f"http://127.0.0.1:{management}",
            manager=f"https://localhost:{manager}",
        )


@contextlib.contextmanager
def _running(command: list[str], log: int, environment: dict[str, str]) -> Iterator[None]:
    process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def _wait_for(port: int, log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=PATIENCE):
            return
        time.sleep(0.02)
    raise AssertionError(f"Pebble does not listen: {log.read_text()}")
