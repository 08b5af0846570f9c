"""The servers that the gateway is compared with, each with the plainest configuration that does its work."""

import os
import secrets
import shutil
import subprocess
from pathlib import Path
from urllib.parse import urlencode

import bcrypt

from bench.lab import SERVER_CORE, Lab, LeftOut, Server, Way, find, first_line, nginx, nginx_command
from bench.load import connect
from bench.processes import free_port

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
  listen 127.0.0.1:{port} {"ssl" if tls else ""} backlog=1024;
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
    return Server(name, port, pid, first_line(find("nginx", "/usr/sbin/nginx"), "-v"), doors=doors, tls=tls)


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
    return Server("Caddy", port, pid, first_line(program, "version"), tls=tls)


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
