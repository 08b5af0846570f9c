"""A certificate that is put into a context in use."""

import ssl

import pytest
from cryptography import x509

from gateway.server.tls.acme.bundle import Bundle, new_key, self_signed
from gateway.server.tls.load import load_into
from tests.acme_rig import HOST

NOW = 1_800_000_000.0
CLIENT = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
CLIENT.check_hostname, CLIENT.verify_mode = False, ssl.CERT_NONE


def shake(
    server: ssl.SSLContext, session: ssl.SSLSession | None = None
) -> tuple[str, ssl.SSLSession | None, bool]:
    """The serial number that a client is shown, the session that it could go on with, and whether it went on."""
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = CLIENT.wrap_bio(down, up, server_hostname=HOST, session=session)
    theirs = server.wrap_bio(up, down, server_side=True)
    waiting = [ours.do_handshake, theirs.do_handshake]
    for _ in range(10):
        for step in list(waiting):
            try:
                step()
                waiting.remove(step)
            except ssl.SSLWantReadError:
                continue
    assert waiting == []
    with pytest.raises(ssl.SSLWantReadError):
        ours.read()  # takes the tickets
    shown = ours.getpeercert(binary_form=True)
    serial = f"{x509.load_der_x509_certificate(shown).serial_number:x}" if shown else ""
    return serial, ours.session, bool(ours.session_reused)


def test_new_connections_have_the_new_certificate_and_old_sessions_go_on() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    first, second = self_signed([HOST], NOW), self_signed([HOST], NOW)
    load_into(context, first)
    serial, session, _ = shake(context)
    assert serial == first.serial
    load_into(context, second)
    assert shake(context)[0] == second.serial
    assert shake(context, session)[2]


def test_one_that_cannot_be_used_leaves_the_context_as_it_was() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    good = self_signed([HOST], NOW)
    load_into(context, good)
    broken = Bundle(good.chain, new_key(), good.names, good.serial, good.not_before, good.not_after)
    with pytest.raises(OSError):
        load_into(context, broken)
    assert shake(context)[0] == good.serial
