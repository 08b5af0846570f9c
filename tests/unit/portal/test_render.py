import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from jinja2 import UndefinedError

from gateway.config.schema import Branding
from gateway.portal.rendering.render import Pages, content_security_policy
from gateway.portal.rendering.status_texts import wording
from gateway.portal.request import Reader
from tests.page_samples import ENGLISH, NAMES, VERIFY, sample
from tests.sign_in_samples import LOGIN

STATUSES = (400, 401, 403, 404, 405, 408, 413, 429, 431, 500, 502, 503, 504)
HOSTILE = "\"><script>alert(1)</script>'"


def pages(**settings: Any) -> Pages:
    return Pages(Branding(name="Harbour Labs", support="Ask help@harbour.example"), **settings)


def text_of(response: web.Response) -> str:
    assert response.text is not None
    return response.text


@pytest.mark.parametrize("name", NAMES)
def test_every_page_carries_the_security_headers(name: str) -> None:
    headers = sample(pages(), name).headers
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert "camera=()" in headers["Permissions-Policy"]
    policy = headers["Content-Security-Policy"].split("; ")
    assert {"default-src 'none'", "script-src 'self'", "style-src 'self'"} < set(policy)
    assert {"form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'"} < set(policy)
    assert "unsafe" not in headers["Content-Security-Policy"]


@pytest.mark.parametrize("name", NAMES)
def test_no_page_has_inline_script_or_style(name: str) -> None:
    text = text_of(sample(pages(), name)).lower()
    assert "<style" not in text
    assert " style=" not in text
    assert "javascript:" not in text
    assert text.count("<script") == text.count("<script src=") >= 1
    assert " onclick=" not in text


def test_callers_headers_can_add_but_not_weaken() -> None:
    response = pages().render(
        "login.html", reader=ENGLISH, headers={"X-Extra": "1", "Content-Security-Policy": "none"}, **LOGIN
    )
    assert response.headers["X-Extra"] == "1"
    assert response.headers["Content-Security-Policy"].startswith("default-src 'none'")


def test_hsts_is_sent_on_https_only() -> None:
    assert "Strict-Transport-Security" not in pages().error(404, reader=ENGLISH).headers
    assert (
        pages(hsts=True).error(404, reader=ENGLISH).headers["Strict-Transport-Security"] == "max-age=31536000"
    )


def test_pages_are_shown_in_frames_of_listed_origins_alone() -> None:
    framed = Pages(Branding(), frame_ancestors=["https://intranet.example.com"]).error(404, reader=ENGLISH)
    policy = framed.headers["Content-Security-Policy"]
    assert "; frame-ancestors https://intranet.example.com; " in policy
    assert "X-Frame-Options" not in framed.headers
    assert pages().error(404, reader=ENGLISH).headers["X-Frame-Options"] == "DENY"
    with pytest.raises(ValueError, match="not a CSP source"):
        content_security_policy([], ["https://a; script-src *"])


def test_form_action_names_the_extra_origins() -> None:
    policy = content_security_policy(["https://app.example.com", "https://*.example.org"])
    assert "form-action 'self' https://app.example.com https://*.example.org;" in policy


@pytest.mark.parametrize("source", ["https://a; script-src *", "a b", "'unsafe-inline'", "a,b", "a\r\nX: y"])
def test_a_form_action_that_would_break_out_of_its_directive_is_refused(source: str) -> None:
    with pytest.raises(ValueError, match="not a CSP source"):
        content_security_policy([source])


class Skeleton(HTMLParser):
    """The elements of a page and the names of their attributes, without any value."""

    def __init__(self, response: web.Response) -> None:
        super().__init__()
        self.elements: list[tuple[str, list[str]]] = []
        self.feed(text_of(response))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, [name for name, _ in attrs]))


@pytest.mark.parametrize(
    ("name", "context"),
    [
        ("login.html", LOGIN | {"username": "x", "error": "x", "notice": "x"}),
        ("verify.html", VERIFY | {"error": "x", "notice": "x", "others": [("x", "x")], "resend_after": 5}),
        ("logout.html", {"csrf_token": "x", "done": False}),
    ],
)
def test_hostile_values_add_neither_elements_nor_attributes(name: str, context: dict[str, Any]) -> None:
    kept = {key: value for key, value in context.items() if not isinstance(value, str) or key == "factor"}
    hostile = dict.fromkeys(context, HOSTILE) | kept
    if "others" in context:
        hostile["others"] = [(HOSTILE, HOSTILE)]
    tame = Skeleton(pages().render(name, reader=ENGLISH, **context))
    attacked = pages().render(name, reader=Reader("en", HOSTILE), request_id=HOSTILE, **hostile)
    assert "alert(1)" in text_of(attacked)
    assert Skeleton(attacked).elements == tame.elements


def test_errors_and_branding_are_escaped() -> None:
    hostile = Pages(Branding(name=HOSTILE, support=HOSTILE))
    response = hostile.error(
        400,
        reader=ENGLISH,
        title=HOSTILE,
        message=HOSTILE,
        reason=HOSTILE,
        request_id=HOSTILE,
        actions=[(HOSTILE, "/" + HOSTILE)],
    )
    assert "<script>" not in text_of(response)


def test_a_variable_nobody_passed_is_an_error_not_an_empty_string() -> None:
    with pytest.raises(UndefinedError, match="csrf_token"):
        pages().render("login.html", reader=ENGLISH, rd="/", username="", passkeys=False)


def test_a_wrong_password_is_announced_and_tied_to_its_fields() -> None:
    text = text_of(pages().render("login.html", 401, reader=ENGLISH, **(LOGIN | {"error": "Wrong."})))
    assert '<div class="message bad" id="error" role="alert">' in text
    assert text.count('aria-invalid="true" aria-describedby="error"') == 2
    assert "<title>Error: Sign in – Harbour Labs</title>" in text


def test_login_without_error_marks_nothing_invalid() -> None:
    text = text_of(pages().render("login.html", reader=ENGLISH, **LOGIN))
    assert "aria-invalid" not in text
    assert 'role="alert"' not in text


def test_the_code_field_helps_phones_to_fill_it_in() -> None:
    text = text_of(pages().render("verify.html", reader=ENGLISH, **(VERIFY | {"code_length": 8})))
    assert 'autocomplete="one-time-code" inputmode="numeric" maxlength="200"' in text
    assert 'data-digits="8"' in text


def test_a_recovery_code_may_hold_letters() -> None:
    text = text_of(pages().render("verify.html", reader=ENGLISH, **(VERIFY | {"factor": "recovery"})))
    assert "inputmode" not in text
    assert "pattern=" not in text
    assert "Send another code" not in text


def test_another_code_is_offered_only_after_the_pause() -> None:
    text = text_of(
        pages().render("verify.html", reader=ENGLISH, **(VERIFY | {"resend_after": 25, "rd": "/a?b=c&d"}))
    )
    shown = text.split("<template>")[0]
    assert "25" in shown
    assert 'name="resend"' not in shown
    assert 'href="/_auth/verify?rd=/a%3Fb%3Dc%26d"' in shown


@pytest.mark.parametrize(("days", "words"), [(1, "1 day<"), (30, "30 days<")])
def test_remembering_is_offered_with_its_duration(days: int, words: str) -> None:
    text = text_of(pages().render("verify.html", reader=ENGLISH, **(VERIFY | {"remember_days": days})))
    assert words in text
    assert "remember_device" not in text_of(
        pages().render("verify.html", reader=ENGLISH, **(VERIFY | {"can_remember": False}))
    )


@pytest.mark.parametrize("status", STATUSES)
def test_every_status_has_its_own_words(status: int) -> None:
    response = pages().error(status, reader=ENGLISH, request_id="r-1")
    assert response.status == status
    words = wording(status)
    assert all(words != wording(other) for other in STATUSES if other != status)
    assert words.title in text_of(response)
    assert words.message in text_of(response)
    assert "r-1" in text_of(response)


@pytest.mark.parametrize(("status", "like"), [(418, 400), (599, 500)])
def test_an_unknown_status_reads_like_its_class(status: int, like: int) -> None:
    assert wording(status) == wording(like)


def test_programs_get_errors_as_json() -> None:
    response = pages().error(
        403, reader=ENGLISH, reason="group_required", message="No.", request_id="r-1", accepts_html=False
    )
    assert response.content_type == "application/json"
    assert json.loads(text_of(response)) == {
        "error": "group_required",
        "message": "No.",
        "request_id": "r-1",
    }
    assert response.headers["Cache-Control"] == "no-store"


def test_a_json_error_without_reason_has_the_code_of_its_status() -> None:
    assert (
        json.loads(text_of(pages().error(504, reader=ENGLISH, accepts_html=False)))["error"]
        == "gateway_timeout"
    )


@pytest.mark.parametrize("accepts_html", [True, False])
def test_a_pause_is_told_in_the_header(accepts_html: bool) -> None:
    response = pages().error(
        429, reader=ENGLISH, retry_after=540, accepts_html=accepts_html, headers={"WWW-Authenticate": "X"}
    )
    assert response.headers["Retry-After"] == "540"
    assert response.headers["WWW-Authenticate"] == "X"


@pytest.mark.parametrize(
    ("seconds", "words"), [(1, "1 second."), (90, "90 seconds."), (91, "2 minutes."), (540, "9 minutes.")]
)
def test_a_pause_is_told_in_words(seconds: int, words: str) -> None:
    assert f"Try again in {words}" in text_of(pages().error(429, reader=ENGLISH, retry_after=seconds))


def test_a_folder_of_templates_replaces_ours_one_by_one(tmp_path: Path) -> None:
    (tmp_path / "logout.html").write_text(
        '{% extends "base.html" %}{% block content %}Our own bye{% endblock %}'
    )
    own = pages(templates=tmp_path)
    assert "Our own bye" in text_of(own.render("logout.html", reader=ENGLISH, csrf_token="t", done=True))
    assert "<h1>Sign in</h1>" in text_of(own.render("login.html", reader=ENGLISH, **LOGIN))


def test_the_support_line_links_addresses() -> None:
    assert '<a href="mailto:help@harbour.example">' in text_of(pages().error(404, reader=ENGLISH))


def test_the_prefix_is_in_every_address() -> None:
    text = text_of(pages(prefix="/gate").render("login.html", reader=ENGLISH, **LOGIN))
    assert "/_auth" not in text
    assert 'href="/gate/passkey?rd=' in text
