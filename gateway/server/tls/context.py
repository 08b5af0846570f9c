"""TLS for the listening side: certificate, lowest version, ciphers.

A reload reads the files anew, which is how it picks up renewed certificates.
"""

import logging
import ssl
from hashlib import sha256
from pathlib import Path

from gateway.clock import system_clock
from gateway.config.schema import Tls
from gateway.config.sections.acme import Acme
from gateway.errors import ConfigError, Mistake
from gateway.server.tls.acme.bundle import Bundle, self_signed
from gateway.server.tls.acme.cache import CertificateCache, Signature
from gateway.server.tls.load import load_into

log = logging.getLogger("gateway.acme")

# TLS 1.2 with forward secrecy and AEAD only (RFC 9325 section 4.2); TLS 1.3 has no bad suites to leave out.
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


def shared_context(tls: Tls | None) -> ssl.SSLContext | None:
    """Return the TLS context for the settings: `server_context`, or the one that was made before of the same settings
    and the same contents of files.

    The keys of session tickets are a context's own. The parent makes it before it forks, so a browser resumes its TLS
    session at whichever worker it meets, and after a reload, too; a renewed certificate brings new keys.
    Raises ConfigError.
    """
    if tls is None:
        return None
    # What ACME got is loaded into the context later, again and again.
    files = [file for file in (tls.cert_file, tls.key_file, tls.client_ca_file) if file is not None]
    try:
        key = (tls, *(sha256(file.read_bytes()).digest() for file in files))
    except OSError:
        return server_context(tls)  # which says what is wrong
    if key not in _made:
        context = server_context(tls)
        _made.clear()  # the one before is still in the hands of those who serve with it
        _made[key] = context
    return _made[key]


_made: dict[tuple[object, ...], ssl.SSLContext | None] = {}


def server_context(tls: Tls | None) -> ssl.SSLContext | None:
    """The context to serve with, None for plain HTTP. Raises ConfigError that names the file at fault."""
    if tls is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _VERSIONS[tls.minimum]
    context.set_ciphers(_CIPHERS)
    context.set_alpn_protocols(["http/1.1"])
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    if tls.acme is not None:
        load_into(context, first_bundle(tls.acme))
    else:
        _load_certificate(context, tls)
    if tls.client_ca_file is not None:
        _ask_for_certificates(context, tls.client_ca_file)
    return context


def _ask_for_certificates(context: ssl.SSLContext, ca_file: Path) -> None:
    """A certificate that does not hold ends the handshake; having none does not.

    Whoever stands in the file is trusted, also an authority that another one has signed.
    """
    context.verify_mode = ssl.CERT_OPTIONAL
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    try:
        context.load_verify_locations(ca_file)
    except (OSError, ssl.SSLError) as error:
        problem = error.strerror or "is not a PEM bundle of certificates"
        raise ConfigError(
            [Mistake(file=str(ca_file), line=0, key="server.tls.client_ca_file", problem=problem)]
        ) from error


def first_bundle(acme: Acme) -> Bundle:
    """What to serve with at the start: the certificate that ACME got last, else one that no browser trusts, the same
    for this process and those that it forks.
    """
    found = CertificateCache(acme.cache).read()
    if found is not None:
        return found
    if acme.hosts not in _untrusted:
        log.warning(
            "there is no certificate for %s yet: one that no browser trusts is served until %s has issued it",
            *(", ".join(acme.hosts), acme.directory),
        )
        _untrusted[acme.hosts] = self_signed(acme.hosts, system_clock())
    return _untrusted[acme.hosts]


def acme_signature(tls: Tls | None) -> Signature | None:
    """Return what tells the certificate that ACME got from the next one; None if there is none."""
    return CertificateCache(tls.acme.cache).signature() if tls is not None and tls.acme is not None else None


def pem_pair(tls: Tls | None) -> tuple[str, str]:
    """Return chain and key as text, for an engine that serves with them; empty without TLS. Raises OSError."""
    if tls is None:
        return "", ""
    if tls.acme is not None:
        bundle = first_bundle(tls.acme)
        return bundle.chain, bundle.key
    assert tls.cert_file is not None
    assert tls.key_file is not None
    return tls.cert_file.read_text(), tls.key_file.read_text()


def authorities(tls: Tls | None) -> str:
    """Return the certificates of those who issue clients' as text, likewise; empty if nobody is asked for one.

    Raises OSError.
    """
    return (
        ""
        if tls is None or tls.client_ca_file is None
        else tls.client_ca_file.read_text("utf-8", errors="replace")
    )


_untrusted: dict[tuple[str, ...], Bundle] = {}


def _load_certificate(context: ssl.SSLContext, tls: Tls) -> None:
    assert tls.cert_file is not None
    assert tls.key_file is not None
    for key, file in (("server.tls.cert_file", tls.cert_file), ("server.tls.key_file", tls.key_file)):
        try:
            file.read_bytes()
        except OSError as error:
            raise ConfigError(
                [Mistake(file=str(file), line=0, key=key, problem=error.strerror or "cannot be read")]
            ) from error
    try:
        context.load_cert_chain(tls.cert_file, tls.key_file, password=_no_password)
    except (ssl.SSLError, ValueError) as error:
        problem = f"certificate and key {tls.key_file} do not work together: {error}"
        raise ConfigError(
            [Mistake(file=str(tls.cert_file), line=0, key="server.tls", problem=problem)]
        ) from error


def _no_password() -> str:
    # OpenSSL would otherwise ask on the terminal, and a service would hang there.
    raise ValueError("the private key has a passphrase; store it without one, readable to the gateway only")
