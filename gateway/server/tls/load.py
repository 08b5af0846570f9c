"""Puts a certificate into a TLS context, also one that is in use."""

import ssl

from gateway.server.tls.acme.bundle import Bundle
from gateway.server.tls.acme.cache import written_to


def load_into(context: ssl.SSLContext, bundle: Bundle) -> None:
    """Let new connections of a context that is in use have this certificate. Its keys of session tickets stay.

    The file that OpenSSL wants is ours alone, and gone at once. Raises OSError.
    """
    file = written_to(bundle.pem)
    try:
        # What can't be used shows here, and not halfway in the one that serves.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(file)
        context.load_cert_chain(file)
    finally:
        file.unlink()
