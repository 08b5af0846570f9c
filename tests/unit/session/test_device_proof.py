"""What a proof of a browser's key must be like, and what is none."""

import json

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from gateway.session.device_proof import challenge_in, read_refresh, read_registration, session_named
from tests.bound_browser import SigningKey, encoded

EC = SigningKey()
RSA = SigningKey(rsa.generate_private_key(public_exponent=65537, key_size=2048))
OTHER = SigningKey()


@pytest.mark.parametrize(("key", "algorithm"), [(EC, "ES256"), (RSA, "RS256")], ids=["EC", "RSA"])
@pytest.mark.parametrize("written", ["{}", '"{}"', '"{}";v=1'])
def test_a_key_that_signs_itself_is_read_and_proves_itself_later(
    key: SigningKey, algorithm: str, written: str
) -> None:
    read = read_registration(
        written.format(key.proof("c1", show=True, aud="https://a.example/_auth/device-key"))
    )
    assert read is not None
    assert (read.algorithm, read.challenge) == (algorithm, "c1")
    assert read.audience == "https://a.example/_auth/device-key"
    assert json.loads(read.key) == key.jwk
    later = written.format(key.proof("c2"))
    assert challenge_in(later) == "c2"
    proven = read_refresh(later, read.key)
    assert proven is not None
    assert (proven.challenge, proven.audience, proven.key) == ("c2", "", read.key)


def unsigned(challenge: str) -> str:
    """`alg: none`, which the draft knows and we don't take."""
    parts = [{"alg": "none", "typ": "dbsc+jwt"}, {"jti": challenge}]
    return ".".join((*(encoded(json.dumps(part).encode()) for part in parts), "AA"))


SMALL = SigningKey(rsa.generate_private_key(public_exponent=65537, key_size=1024))
ODD = SigningKey(rsa.generate_private_key(public_exponent=3, key_size=2048))
P384 = SigningKey(ec.generate_private_key(ec.SECP384R1()), "ES256")


def swapped(part: int, proof: str, other: str) -> str:
    parts, others = proof.split("."), other.split(".")
    parts[part] = others[part]
    return ".".join(parts)


@pytest.mark.parametrize(
    "field",
    [
        "",
        "x",
        "a.b.c",
        '"',
        EC.proof("c", show=True) + "x",
        EC.proof("c"),
        EC.proof("c", jwk=OTHER.jwk),
        EC.proof("c", jwk=[1]),
        EC.proof("c", jwk={}),
        EC.proof("c", jwk={**EC.jwk, "x": "AAAA"}),
        EC.proof("c", jwk={**EC.jwk, "d": "AAAA"}),
        EC.proof("c", jwk={**EC.jwk, "crv": "P-384"}),
        EC.proof("c", jwk={"kty": "oct", "k": "AAAA"}),
        EC.proof("c", show=True, typ="JWT"),
        EC.proof("c", show=True, typ=None),
        EC.proof("c", show=True, alg="RS256"),
        EC.proof(None, show=True),
        EC.proof(7, show=True),
        EC.proof("c", show=True, aud=["https://a.example"]),
        SigningKey(EC.private, "HS256").proof("c", show=True),
        SMALL.proof("c", show=True),
        ODD.proof("c", show=True),
        P384.proof("c", show=True),
        unsigned("c"),
        swapped(2, EC.proof("c", show=True), OTHER.proof("c", show=True)),
        swapped(1, EC.proof("c", show=True), EC.proof("d", show=True)),
        EC.proof("c" * 9000, show=True),
        f"{EC.proof('c', show=True)}, {EC.proof('c', show=True)}",
    ],
)
def test_nothing_else_registers_a_key(field: str) -> None:
    assert read_registration(field) is None


@pytest.mark.parametrize(
    "field",
    [
        "",
        OTHER.proof("c"),
        EC.proof("c", show=True),
        OTHER.proof("c", show=True),
        EC.proof("c", typ="JWT"),
        EC.proof("c", alg="none"),
        EC.proof("c", alg="HS256"),
        unsigned("c"),
        RSA.proof("c"),
        swapped(1, EC.proof("c"), EC.proof("d")),
        EC.proof(7),
    ],
)
def test_nothing_else_proves_a_registered_key(field: str) -> None:
    assert read_refresh(field, json.dumps(EC.jwk)) is None


@pytest.mark.parametrize("key", ["", "{}", "[]", "null", '{"kty": "EC"}', "{"])
def test_a_stored_key_that_cannot_be_read_is_proven_by_nobody(key: str) -> None:
    assert read_refresh(EC.proof("c"), key) is None


@pytest.mark.parametrize(
    ("field", "name"),
    [
        ("abc-_1", "abc-_1"),
        ('"abc"', "abc"),
        ('"abc";v=1', "abc"),
        ('"abc', ""),
        ("a b", ""),
        ("", ""),
        ("a" * 65, ""),
        ("'; drop", ""),
    ],
)
def test_ids_of_sessions_are_read_with_and_without_quotes(field: str, name: str) -> None:
    assert session_named(field) == name


@pytest.mark.parametrize("field", ["", "a.b.c", f"a.{encoded(b'[]')}.c", f"a.{encoded(b'7')}.c", "a.!.c"])
def test_what_has_no_challenge_says_none(field: str) -> None:
    assert challenge_in(field) == ""
