"""TLS for the listening side: certificate, lowest version, ciphers.

A reload reads the files anew, which is how it picks up renewed certificates.
"""

import ssl
from hashlib import sha256
from pathlib import Path

from gateway.config.schema import Tls
from gateway.errors import ConfigError, Mistake

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
    _load_certificate(context, tls)
    if tls.client_ca_file is not None:
        _ask_for_certificates(context, tls.client_ca_file)
    return context


def _ask_for_certificates(context: ssl.SSLContext, ca_file: Path) -> None:
    """A certificate that does not hold ends the handshake; having none does not."""
    context.verify_mode = ssl.CERT_OPTIONAL
    try:
        context.load_verify_locations(ca_file)
    except (OSError, ssl.SSLError) as error:
        problem = error.strerror or "is not a PEM bundle of certificates"
        raise ConfigError(
            [Mistake(file=str(ca_file), line=0, key="server.tls.client_ca_file", problem=problem)]
        ) from error


def _load_certificate(context: ssl.SSLContext, tls: Tls) -> None:
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
