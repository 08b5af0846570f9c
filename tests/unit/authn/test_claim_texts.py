"""What a claim says, by its path; all that is no text says nothing."""

import pytest

from gateway.authn.federation.claims import claim_texts
from gateway.authn.issuer_keys import may_hold_keys
from gateway.config.patterns import glob_test

CLAIMS = {
    "sub": "s",
    "flag": True,
    "id": 7,
    "float": 1.5,
    "groups": ["a", 3, None, ["b"], {"c": 1}, False, "x\ny", "\ud800"],
    "realm_access": {"roles": ["admin", "user"], "deep": {"er": "z"}},
    "kubernetes.io": {"namespace": "ci"},
    "a.b": "flat",
    "a": {"b": "nested", "c": "nested"},
    "none": None,
}


@pytest.mark.parametrize(
    ("path", "texts"),
    [
        ("sub", ("s",)),
        ("flag", ("true",)),
        ("id", ("7",)),
        ("float", ()),
        ("groups", ("a", "3", "false")),
        ("realm_access.roles", ("admin", "user")),
        ("realm_access.deep.er", ("z",)),
        ("realm_access", ()),
        ("kubernetes.io.namespace", ("ci",)),
        ("a.b", ("flat",)),
        ("a.c", ("nested",)),
        ("sub.x", ()),
        ("none", ()),
        ("", ()),
        (".", ()),
    ],
)
def test_a_claim_is_found_by_its_path(path: str, texts: tuple[str, ...]) -> None:
    assert claim_texts(CLAIMS, path) == texts


@pytest.mark.parametrize(
    ("pattern", "text", "fits"),
    [
        ("acme/*", "acme/app", True),
        ("acme/*", "acme/a/b", False),
        ("acme/**", "acme/a/b", True),
        ("acme/*", "xacme/app", False),
        ("a.c", "abc", False),
        ("a?c", "abc", True),
        ("(x)+", "xx", False),
        ("*", "", True),
    ],
)
def test_a_glob_fits_whole_texts_and_a_star_stops_at_a_slash(pattern: str, text: str, fits: bool) -> None:
    assert glob_test(pattern)(text) is fits


@pytest.mark.parametrize(
    ("issuer", "address", "taken"),
    [
        ("https://accounts.google.com", "https://www.googleapis.com/oauth2/v3/certs", True),
        ("https://id.test", "http://id.test/jwks", False),
        ("https://id.test", "https://user@id.test/jwks", False),
        ("https://id.test", "https://127.0.0.1/jwks", False),
        ("https://id.test", "https://[::1]/jwks", False),
        ("https://id.test", "https://10.1.2.3/jwks", False),
        ("https://id.test", "https://vault/jwks", False),
        ("https://id.test", "https://x.localhost/jwks", False),
        ("https://id.test", "ftp://id.test/jwks", False),
        ("https://id.test", "https://[bad/jwks", False),
        ("https://10.1.2.3", "https://10.1.2.3/jwks", True),
        ("http://127.0.0.1:1", "http://127.0.0.1:1/jwks", True),
        ("http://127.0.0.1:1", "http://other.test/jwks", False),
    ],
)
def test_discovery_sends_nobody_into_the_network(issuer: str, address: str, taken: bool) -> None:
    assert may_hold_keys(issuer, address) is taken
