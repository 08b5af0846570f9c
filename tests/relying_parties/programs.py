"""Relying parties that others wrote, started on free loopback ports: a Node app on openid-client, Apache's module."""

import asyncio
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp

from tests.services import missing
from tests.waiting import PATIENCE

OPENID_CLIENT = "openid-client@6.9.0"
APP = Path(__file__).with_name("app.mjs")


def node_modules() -> Path:
    """openid-client and what it needs, installed once for all runs. Skips where that can't be done."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        missing("node or npm is not installed")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "auth-gateway-tests" / OPENID_CLIENT.replace("@", "-")
    if not (folder / "node_modules").is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(dir=folder.parent))
        command = [
            npm,
            "install",
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
            "--prefix",
            str(draft),
            OPENID_CLIENT,
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
        if done.returncode != 0:
            shutil.rmtree(draft)
            missing(f"{OPENID_CLIENT} can't be installed: {done.stderr[-300:]}")
        try:
            draft.rename(folder)
        except OSError:  # another test run was faster
            shutil.rmtree(draft)
    return folder / "node_modules"


@contextmanager
def node_app(folder: Path, issuer: str, port: int, id: str, secret: str) -> Iterator[str]:
    """Yields its address."""
    modules = node_modules()
    (folder / "node_modules").symlink_to(modules)
    shutil.copy(APP, folder / "app.mjs")
    command = ["node", str(folder / "app.mjs"), issuer, str(port), id, secret]
    with (folder / "node.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(PATIENCE)


_APACHE = """
ServerRoot {folder}
ServerName 127.0.0.1
Listen 127.0.0.1:{port}
PidFile {folder}/apache.pid
ErrorLog {folder}/error.log
Mutex file:{folder}
DefaultRuntimeDir {folder}
{user}
LoadModule mpm_event_module {modules}/mod_mpm_event.so
LoadModule authn_core_module {modules}/mod_authn_core.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule authz_user_module {modules}/mod_authz_user.so
LoadModule dir_module {modules}/mod_dir.so
LoadModule mime_module {modules}/mod_mime.so
LoadModule headers_module {modules}/mod_headers.so
LoadModule auth_openidc_module {modules}/mod_auth_openidc.so
TypesConfig /etc/mime.types
StartServers 1
ServerLimit 1
ThreadsPerChild 8
MaxRequestWorkers 8
DocumentRoot {folder}/site
OIDCProviderMetadataURL {issuer}/.well-known/openid-configuration
OIDCClientID {id}
OIDCClientSecret {secret}
OIDCRedirectURI http://127.0.0.1:{port}/redirect
OIDCCryptoPassphrase some-passphrase-of-this-test
OIDCScope "openid profile email groups"
OIDCPKCEMethod S256
OIDCRemoteUserClaim preferred_username
OIDCSessionType server-cache
<Location "/">
  AuthType openid-connect
  Require valid-user
  Header always set X-Remote-User "expr=%{{REMOTE_USER}}"
</Location>
"""


@contextmanager
def apache(issuer: str, port: int, id: str, secret: str) -> Iterator[str]:
    """Apache with mod_auth_openidc before one page; yields its address. It must be able to reach the issuer."""
    binary, modules = shutil.which("apache2"), Path("/usr/lib/apache2/modules")
    if binary is None or not (modules / "mod_auth_openidc.so").exists():
        missing("apache2 or libapache2-mod-auth-openidc is not installed")
    folder = Path(tempfile.mkdtemp(prefix="gateway-apache-"))
    try:
        (folder / "site").mkdir()
        (folder / "site" / "index.html").write_text("<h1>Behind Apache</h1>")
        folder.chmod(0o755)
        user = "User www-data\nGroup www-data" if os.geteuid() == 0 else ""
        places = {"folder": folder, "port": port, "modules": modules, "user": user}
        config = folder / "apache.conf"
        config.write_text(_APACHE.format(**places, issuer=issuer, id=id, secret=secret))
        command = [binary, "-f", str(config), "-DFOREGROUND"]
        process = subprocess.Popen(command, cwd="/")
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(PATIENCE)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def until_it_answers(url: str) -> None:
    """Any answer will do."""
    deadline = time.monotonic() + PATIENCE
    async with aiohttp.ClientSession() as web:
        while True:
            try:
                async with web.get(url, allow_redirects=False):
                    return
            except aiohttp.ClientError:
                assert time.monotonic() < deadline, f"{url} does not answer"
                await asyncio.sleep(0.05)
