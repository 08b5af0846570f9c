"""The page where an app failed that Envoy had asked: what can't be read is refused, and what is wanted is said."""

import json

import pytest

from gateway.config.schema import Branding
from gateway.portal.rendering.render import Pages
from gateway.request.hop import reason_of
from gateway.server.carried_failure import failure_page

PAGES = Pages(Branding.model_validate({"languages": ["en", "de"]}))
NOTE = {"upstream": "http://127.0.0.1:1", "host": "app.test", "reader": "de page"}


@pytest.mark.parametrize(
    ("asked", "status", "said"),
    [
        ("502 UF GET", b"502", b"<html"),
        ("502 UF PUT", b"502", b'"error": "bad_gateway"'),
        ("504 UT POST", b"504", b"<html"),
        ("408 SI POST", b"408", b"<html"),
        ("500 - GET", b"502", b"<html"),
    ],
)
def test_the_page_is_in_the_readers_language_and_kind(asked: str, status: bytes, said: bytes) -> None:
    head, _, body = failure_page(PAGES, f"{asked} name {json.dumps(NOTE)}").partition(b"\r\n\r\n")
    assert b"X-Gateway-M-Failed: ".lower() + status in head.lower()
    assert said in body
    assert b"name" in body
    if b"<html" in body:
        assert b'lang="de"' in body


@pytest.mark.parametrize(
    "asked", ["", "502", "x UF GET name {}", "502 UF GET name {", "502 UF GET name {}", "502 UF GET name []"]
)
def test_what_can_not_be_read_is_no_page(asked: str) -> None:
    assert failure_page(PAGES, asked).startswith(b"HTTP/1.1 400 ")


def test_envoys_flags_have_words_of_ours() -> None:
    assert reason_of("UF,URX") == "the upstream could not be reached"
    assert reason_of("-") == ""
