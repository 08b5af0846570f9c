"""An OpenLDAP server, also one with Active Directory's attributes, for tests that ask one."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.sending import write_certificate
from tests.services import Daemon, missing
from tests.waiting import free_port

_SLAPD = """
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
include /etc/ldap/schema/nis.schema
include {folder}/ad.schema
modulepath /usr/lib/ldap
moduleload back_mdb.la
moduleload memberof.la
pidfile {folder}/pid
TLSCertificateFile {folder}/cert.pem
TLSCertificateKeyFile {folder}/key.pem
TLSCACertificateFile {folder}/cert.pem
database mdb
directory {folder}/data
maxsize 2147483648
dbnosync
suffix "dc=example,dc=com"
rootdn "cn=admin,dc=example,dc=com"
rootpw admin-password
index objectClass,uid,mail,cn,member,memberUid eq
sizelimit 5
overlay memberof
"""
_AD_SCHEMA = """
attributetype ( 1.2.840.113556.1.4.8 NAME 'userAccountControl'
  SYNTAX 1.3.6.1.4.1.1466.115.121.1.27 SINGLE-VALUE )
attributetype ( 1.2.840.113556.1.4.96 NAME 'pwdLastSet'
  SYNTAX 1.3.6.1.4.1.1466.115.121.1.27 SINGLE-VALUE )
objectclass ( 1.3.6.1.4.1.4203.666.100.1 NAME 'adUser' SUP top AUXILIARY
  MAY ( userAccountControl $ pwdLastSet ) )
"""


@dataclass
class Ldap:
    """A slapd on one port for ldap:// (with STARTTLS) and one for ldaps://."""

    daemon: Daemon
    tls_url: str
    ca_file: Path

    @property
    def url(self) -> str:
        return self.daemon.url

    def change(self, ldif: str) -> None:
        command = [
            "ldapmodify",
            "-x",
            "-H",
            self.url,
            "-D",
            "cn=admin,dc=example,dc=com",
            "-w",
            "admin-password",
        ]
        subprocess.run(command, input=ldif, text=True, check=True, capture_output=True)


@contextmanager
def ldap_server(ldif: str, *, quick: bool = False) -> Iterator[Ldap]:
    """A real slapd with these entries; "cn=admin,dc=example,dc=com" / "admin-password" may do everything.

    `quick` is for very many entries: their memberOf is not filled in.
    """
    binary = shutil.which("slapd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if binary is None or shutil.which("ldapmodify") is None:
        missing("slapd or ldap-utils is not installed")
    folder = Path(tempfile.mkdtemp(prefix="gateway-ldap-"))
    port, tls_port = free_port(), free_port()
    (folder / "data").mkdir()
    (folder / "ad.schema").write_text(_AD_SCHEMA)
    (folder / "slapd.conf").write_text(_SLAPD.format(folder=folder))
    certificate, _ = write_certificate(folder)
    urls = f"ldap://127.0.0.1:{port}/ ldaps://127.0.0.1:{tls_port}/"
    command = [str(binary), "-d", "0", "-f", str(folder / "slapd.conf"), "-h", urls]
    probe = lambda: socket.create_connection(("127.0.0.1", port), 2).close()  # noqa: E731
    daemon = Daemon(f"ldap://localhost:{port}", command, folder, probe)
    try:
        if quick:
            load = ["slapadd", "-q", "-f", folder / "slapd.conf"]
            subprocess.run(load, input=ldif, text=True, check=True, capture_output=True)
        daemon.start()
        ldap = Ldap(daemon, f"ldaps://localhost:{tls_port}", certificate)
        add = ["ldapadd", "-x", "-H", ldap.url, "-D", "cn=admin,dc=example,dc=com", "-w", "admin-password"]
        subprocess.run(add, input="" if quick else ldif, text=True, check=True, capture_output=True)
        yield ldap
    finally:
        daemon.stop()
        shutil.rmtree(folder, ignore_errors=True)
