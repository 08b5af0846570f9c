"""The table in gateway/request/client_kind.py, row by row."""

import pytest
from multidict import CIMultiDict

from gateway.request.client_kind import wants_html

PAGE = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
BROWSER = {**PAGE, "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
PROGRAMS = [
    ("GET", {**PAGE, "Upgrade": "websocket"}),
    ("GET", {**BROWSER, "Sec-WebSocket-Key": "x"}),
    ("GET", {**PAGE, "X-Requested-With": "XMLHttpRequest"}),
    ("PUT", BROWSER),
    ("OPTIONS", BROWSER),
    ("GET", {**BROWSER, "Sec-Fetch-Mode": "cors"}),
    ("POST", {**BROWSER, "Sec-Fetch-Mode": "same-origin"}),
    ("GET", {**BROWSER, "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}),
    ("GET", {**PAGE, "Sec-Fetch-Dest": "empty"}),
    ("GET", {"Accept": "*/*"}),
    ("GET", {"Accept": "application/json", "Sec-Fetch-Mode": "navigate"}),
    ("GET", {}),
]
PEOPLE = [
    ("GET", PAGE),
    ("GET", BROWSER),
    ("HEAD", BROWSER),
    ("POST", BROWSER),
    ("GET", {**BROWSER, "Sec-Fetch-Dest": "iframe"}),
    ("GET", {**BROWSER, "Sec-Fetch-Dest": "empty"}),  # <a download>
    ("GET", {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "empty"}),  # the same, as Chromium sends it
    ("GET", {**BROWSER, "X-Requested-With": "com.example.app"}),  # Android's WebView names the app
]


@pytest.mark.parametrize(("method", "headers"), PROGRAMS)
def test_programs_are_told_by_status_and_json(method: str, headers: dict[str, str]) -> None:
    assert not wants_html(method, CIMultiDict(headers))


@pytest.mark.parametrize(("method", "headers"), PEOPLE)
def test_people_are_shown_a_page(method: str, headers: dict[str, str]) -> None:
    assert wants_html(method, CIMultiDict(headers))
