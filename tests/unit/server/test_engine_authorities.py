"""Which workers believe Envoy's word for a client's certificate: those that know no newer authorities."""

from pathlib import Path

from gateway.server.process.engine_authorities import Authorities, number_in


def bundle(*bodies: str) -> str:
    return "".join(
        f"# one\n-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n" for body in bodies
    )


def test_the_number_grows_when_an_authority_is_withdrawn_and_not_when_one_is_added(tmp_path: Path) -> None:
    authorities = Authorities(tmp_path)
    assert number_in(tmp_path) == 0
    numbers = [
        authorities.take(bundle(*bodies)).number
        for bodies in (("a",), ("a",), ("b", "a"), ("b",), ("a", "b"), ("a", "c"), (), ("a",))
    ]
    assert numbers == [0, 0, 0, 1, 1, 2, 3, 3]
    assert number_in(tmp_path) == 3
