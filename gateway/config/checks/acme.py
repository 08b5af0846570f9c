"""Checks of certificates by ACME: names that no authority would sign, or that we could not prove."""

import base64
import binascii
import shutil
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

from gateway.config import addresses
from gateway.config.checks.certificates import file_problem
from gateway.config.checks.finding import Finding
from gateway.config.schema import Config
from gateway.config.sections.acme import Acme
from gateway.config.yaml_document import KeyPath

_BASE: KeyPath = ("server", "tls", "acme")
_MOST_NAMES = 100
MEND = "pip install 'auth-gateway[acme]'"


def covers(hosts: Sequence[str], host: str) -> bool:
    """Tell whether a certificate for `hosts` is good for `host`: a wildcard stands for one label (RFC 9525 §6.3)."""
    return host in hosts or f"*.{host.partition('.')[2]}" in hosts


def acme(config: Config) -> Iterator[Finding]:
    """Find what would keep a certificate from being issued, and hosts that it would not be for."""
    tls = config.server.tls
    if tls is None or tls.acme is None:
        return
    section = tls.acme
    if find_spec("acme") is None:
        yield Finding(_BASE, "needs the ACME library, which is not there", MEND)
    if not section.agree_to_terms:
        problem = "must be `true`: no authority issues without agreement to its terms of service"
        yield Finding((*_BASE, "agree_to_terms"), problem, "read them, then write `agree_to_terms: true`")
    if section.email.count("@") != 1 or section.email.startswith("@") or section.email.endswith("@"):
        yield Finding((*_BASE, "email"), f"`{section.email}` is not a mail address")
    yield from _directory(section)
    yield from _names(section)
    yield from _covered(config, section)
    yield from _proof(config, section)
    if section.ca_file is not None and (problem := file_problem(section.ca_file)):
        yield Finding((*_BASE, "ca_file"), problem, "check the path and who may read it")
    if section.external_account is not None and not _is_key(section.external_account.key.get_secret_value()):
        problem = "is not a key in base64url"
        yield Finding((*_BASE, "external_account", "key"), problem, "copy it as the authority shows it")


def _directory(section: Acme) -> Iterator[Finding]:
    parts = addresses.split(section.directory)
    path = (*_BASE, "directory")
    if parts is None or parts.username is not None:
        mend = "write its URL, such as https://acme-v02.api.letsencrypt.org/directory"
        yield Finding(path, f"`{section.directory}` is not the URL of a directory", mend)
    elif parts.scheme != "https":
        yield Finding(path, "is http, but ACME is spoken over https only (RFC 8555 §6.1)", "write https://")


def _names(section: Acme) -> Iterator[Finding]:
    if len(section.hosts) > _MOST_NAMES:
        problem = f"has {len(section.hosts)} names, but a certificate takes {_MOST_NAMES}"
        yield Finding((*_BASE, "hosts"), problem, "take a wildcard with `dns_hook`")
    for index, host in enumerate(section.hosts):
        path = (*_BASE, "hosts", index)
        name = host.removeprefix("*.")
        if host != host.lower():
            yield Finding(path, f"`{host}` has capital letters", f"write `{host.lower()}`")
        elif addresses.is_ip(name) or not addresses.is_name(name) or "." not in name or "_" in name:
            problem = f"`{host}` is not a public DNS name, so no authority signs it"
            yield Finding(path, problem, 'write a name such as "login.example.com"')
        elif host in section.hosts[:index]:
            yield Finding(path, f"`{host}` is there twice", "remove one of them")
        elif host.startswith("*.") and not section.dns_hook:
            problem = f"`{host}` can only be proven by DNS"
            yield Finding(path, problem, "add `dns_hook`, or name the hosts one by one")
        elif not host.startswith("*.") and covers([one for one in section.hosts if one != host], host):
            wildcard = f"*.{host.partition('.')[2]}"
            problem = f"`{host}` is covered by `{wildcard}` already"
            yield Finding(path, problem, "remove one of the two", warning=True)


def _covered(config: Config, section: Acme) -> Iterator[Finding]:
    origin = addresses.public_origin(config.server.public_url)
    if origin is not None and not covers(section.hosts, origin.host):
        problem = f"lacks {origin.host}, where `server.public_url` is: browsers would refuse its certificate"
        yield Finding((*_BASE, "hosts"), problem, f"add `{origin.host}`")
    for index, route in enumerate(config.routes):
        host = route.host.lower()
        if host == "*" or covers(section.hosts, host) or (origin is not None and host == origin.host):
            continue
        problem = f"`{route.host}` is not on the certificate"
        mend = f"add `{host}` to `server.tls.acme.hosts`"
        yield Finding(("routes", index, "host"), problem, mend, warning=True)


def _proof(config: Config, section: Acme) -> Iterator[Finding]:
    """How the names are proven: by a program that can be run, or where the authority can reach us."""
    if section.dns_hook:
        program = section.dns_hook[0]
        if shutil.which(program) is None:
            problem = "is there, but can't be run" if Path(program).exists() else "is no program that is here"
            yield Finding((*_BASE, "dns_hook", 0), f"`{program}` {problem}", "write its path; chmod +x")
        return
    for key in ("dns_wait", "dns_hook_timeout"):
        if key in section.model_fields_set:
            yield Finding((*_BASE, key), "has no effect without `dns_hook`", "add `dns_hook`, or remove it")
    if not any(one.endswith(":80") for one in config.server.plain):
        problem = "has no port 80, which the authority asks to see that the names are ours (http-01)"
        mend = 'add ":80", or let something forward port 80 of these hosts to us'
        yield Finding(("server", "listen"), problem, mend, warning=True)


def _is_key(text: str) -> bool:
    try:
        return len(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)) > 0
    except (binascii.Error, ValueError):
        return False
