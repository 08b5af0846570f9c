"""A path that some app reads as another one gets no rule's yes that the other would not get."""

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config.loader import read_text
from gateway.config.path_readings import readings
from gateway.errors import RequestRefused
from gateway.model import Target, Verdict
from gateway.policy.decide import Routes, decide
from gateway.request.target import canonical_path

RULES = "[{paths: [/public], require: bypass}, {paths: [/admin], require: deny}, {require: one_factor}]"
CONFIG = read_text(
    f"routes: [{{host: app.test, upstream: 'http://127.0.0.1:9000', rules: {RULES}}}]\n", "config.yaml", {}
).config


def passes(path: str) -> bool:
    """Whether a stranger may have it."""
    target = Target("http", "app.test", None, "GET", canonical_path(path), "", ip_address("192.0.2.1"))
    route = Routes(CONFIG.routes).find(target)
    return route is not None and decide(route, target, None, 0.0).verdict is Verdict.ALLOW


HIDDEN_DOTS = [
    "%252e%252e",
    "%25252e%25252e",
    "%2525252e.",
    "%c0%ae%c0%ae",
    "%c0%ae.",
    "%e0%80%ae%e0%80%ae",
    "%f0%80%80%ae%f0%80%80%ae",
    "%25c0%25ae%25c0%25ae",
    "%ef%bc%8e%ef%bc%8e",  # full-width full stop
    "%e2%80%a4%e2%80%a4",  # one dot leader
    "%e2%80%a5",  # two dot leader
    "%25ef%25bc%258e.",
    "%ef%bc%852e%ef%bc%852e",  # full-width percent sign
]


@pytest.mark.parametrize("dots", HIDDEN_DOTS)
@pytest.mark.parametrize("slash", ["/", "%252f", "%c0%af", "%ef%bc%8f", "%c1%9c", "%255c"])
def test_hidden_dots_do_not_lead_from_an_open_path_to_another(dots: str, slash: str) -> None:
    assert not passes(f"/public/{dots}{slash}admin")


def test_no_end_of_decoding_is_a_path_of_nobody() -> None:
    assert not passes("/public/%" + "25" * 400 + "2e")


@pytest.mark.parametrize(
    "path",
    [
        "/public/x",
        "/public/b%C3%BCcher",
        "/public/%E6%97%A5%E6%9C%AC",
        "/public/caf%E9",  # Latin-1
        "/public/100%25",
        "/public/%EF%BC%95%E6%9C%88",  # full-width five
        "/public/a%2520b",
        "/public/%F0%9F%98%80",
    ],
)
def test_ordinary_paths_pass_as_before(path: str) -> None:
    assert passes(path)


@given(st.text(st.sampled_from("%25ceaf0b89/.;x"), max_size=40))
def test_every_reading_is_found_and_ends(text: str) -> None:
    try:
        path = canonical_path("/public/" + text)
    except RequestRefused:
        return
    found = readings(path)
    assert found[0] == path
    assert len(found) <= 11
    assert passes(path) <= all(one.startswith("/public") for one in found)
