from pathlib import Path

import pytest
from jinja2 import Environment

from gateway.config.schema import Branding
from gateway.portal.rendering import render
from gateway.portal.rendering.shared_code import SharedCode
from tests.page_samples import Pages, Reader, sample


def test_a_template_is_compiled_once_for_all_languages_and_brands(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[str | None] = []
    compile = Environment.compile

    def counted(
        self: Environment, source: str, name: str | None = None, filename: str | None = None
    ) -> object:
        compiled.append(name)
        return compile(self, source, name, filename)

    monkeypatch.setattr(Environment, "compile", counted)
    monkeypatch.setattr(render, "_CODE", SharedCode())
    said = [
        str(sample(Pages(Branding(name=name)), "login", Reader(tag)).text)
        for name in ("One", "Other")
        for tag in ("en", "de")
    ]
    assert len(set(said)) == 4
    assert "login.html" in compiled
    assert len(compiled) == len(set(compiled))


def test_templates_of_an_operator_are_not_those_that_were_compiled_before(tmp_path: Path) -> None:
    usual = str(sample(Pages(Branding()), "nudge", Reader("en")).text)
    (tmp_path / "nudge.html").write_text("Welcome aboard.")
    assert sample(Pages(Branding(), templates=tmp_path), "nudge", Reader("en")).text == "Welcome aboard."
    assert str(sample(Pages(Branding()), "nudge", Reader("en")).text) == usual
    (tmp_path / "nudge.html").write_text("Welcome back.")
    assert sample(Pages(Branding(), templates=tmp_path), "nudge", Reader("en")).text == "Welcome back."
