"""What all servers of a run have in common: where they live, on which cores, and what stands behind them."""

import datetime
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from bench.kinds import Kind
from bench.processes import Processes, free_port

SIZES = {"small": 120, "medium": 10 * 1024, "large": 1024 * 1024, "huge": 100 * 1024 * 1024}
SERVER_CORE, LOAD_CORE = "0", "1"


class LeftOut(Exception):
    """A server that can't be had on this machine; the message says why."""


@dataclass(frozen=True, slots=True)
class Server:
    """Something that is measured. `headers` sign a request in."""

    name: str
    port: int
    pid: int
    version: str
    headers: Mapping[str, str] = field(default_factory=dict)
    pages: bool = True
    """Whether it serves the app; one that is only asked by a proxy does not."""
    doors: Mapping[str, "Way"] = field(default_factory=dict)
    """Its ways in beside the page of a signed-in browser (bench/kinds.py)."""
    tls: bool = False
    http2: bool = False

    def way(self, kind: Kind) -> "Way | None":
        """Where and with which headers a request of this kind goes, if this server takes it."""
        if kind.tls != self.tls or (kind.http2 and not self.http2):
            return None
        if kind.door == "page":
            return Way(kind.path, self.headers) if self.pages else None
        return self.doors.get(kind.door)

    @property
    def url(self) -> str:
        return f"http{'s' * self.tls}://127.0.0.1:{self.port}"


@dataclass(frozen=True, slots=True)
class Way:
    path: str
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Lab:
    folder: Path
    processes: Processes
    origin: int
    """The upstream's port: /small, /medium, /large and the upload sink /sink."""
    echo: int
    """The WebSocket upstream's port."""

    @property
    def certificate(self) -> Path:
        """PEM certificate of 127.0.0.1 that all servers show; its key is in the same file."""
        return self.folder / "tls.pem"

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text)
        return path


def open_lab(folder: Path, processes: Processes) -> Lab:
    """Starts the upstreams, on the load's core."""
    lab = Lab(folder, processes, free_port(), free_port())
    www = folder / "www"
    www.mkdir()
    folder.chmod(0o711)  # started by root, nginx serves as another user
    for name, size in SIZES.items():
        (www / name).write_bytes(b"x" * size)
    for door in ("ruled", "tokened"):
        (www / door).symlink_to(www)
    make_certificate(lab.certificate)
    config = lab.write("origin.conf", nginx(lab, "origin", origin_server(lab, www), logs=False))
    processes.start("origin", nginx_command(config), cores=LOAD_CORE, port=lab.origin)
    processes.start(
        "echo", [sys.executable, "-m", "bench.echo", str(lab.echo)], cores=LOAD_CORE, port=lab.echo
    )
    return lab


def make_certificate(path: Path) -> None:
    """An EC key and its certificate, as most certificates of today are (RSA costs every server the same more)."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(certificate.public_bytes(pem) + secret)


def nginx_command(config: Path) -> list[str]:
    return [find("nginx", "/usr/sbin/nginx"), "-c", str(config), "-g", "daemon off;"]


def nginx(lab: Lab, name: str, servers: str, workers: int = 1, *, logs: bool = True) -> str:
    """An nginx of its own, with its files in the lab's folder. It logs each request, as nginx does by default."""
    access = f"{lab.folder}/{name}-access.log" if logs else "off"
    temporary = "".join(
        f"{kind}_temp_path {lab.folder}/{name}-{kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return f"""worker_processes {workers};
pid {lab.folder}/{name}.pid;
error_log stderr error;
worker_rlimit_nofile 16384;
events {{ worker_connections 8192; }}
http {{
access_log {access};
{temporary}client_max_body_size 0;
keepalive_requests 100000000;
map $http_upgrade $connection_upgrade {{ default upgrade; "" ""; }}
{servers}
}}
"""


def origin_server(lab: Lab, www: Path) -> str:
    """The sink takes the whole body into memory before it answers, like an app that reads its request."""
    return f"""sendfile on;
tcp_nopush on;
open_file_cache max=10;
server {{
  listen 127.0.0.1:{lab.origin} backlog=1024;
  root {www};
  location /little-sink {{
    client_body_buffer_size 8k;
    proxy_pass http://unix:{lab.folder}/sink.sock;
    proxy_pass_request_body off;
    proxy_set_header Content-Length "";
  }}
  location /sink {{
    client_body_buffer_size 2m;
    proxy_pass http://unix:{lab.folder}/sink.sock;
    proxy_pass_request_body off;
    proxy_set_header Content-Length "";
  }}
}}
server {{ listen unix:{lab.folder}/sink.sock; location / {{ return 200 "ok"; }} }}"""


def find(program: str, *elsewhere: str) -> str:
    found = shutil.which(program) or next((path for path in elsewhere if Path(path).exists()), None)
    if found is None:
        raise LeftOut(f"{program} is not on the PATH")
    return found


def first_line(*argv: str) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
    return (done.stdout or done.stderr).strip().splitlines()[0]
