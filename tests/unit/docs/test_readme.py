"""README.md against the program: what it names is there, and nothing that a reader needs is left out."""

import re
import tomllib
from itertools import chain
from pathlib import Path

import click
import pytest
import yaml

from gateway.cli import COMMANDS, main
from gateway.config.loader import load
from gateway.config.schema import Config

ROOT = Path(__file__).resolve().parents[3]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def section(heading: str) -> str:
    found = re.search(rf"^## {heading}\n(.*?)(?=^## |\Z)", README, re.M | re.S)
    assert found, heading
    return found[1]


def name_of(requirement: str) -> str:
    return re.split(r"[\[<>=;~! ]", requirement)[0]


def test_the_table_of_dependencies_is_what_is_installed() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = {extra: names for extra, names in project["optional-dependencies"].items() if extra != "dev"}
    cells = re.findall(r"^\| ([a-z].*?) \|", section("Dependencies"), re.M)
    listed = {
        match[1]: match[2] or ""
        for cell in cells
        for match in re.finditer(r"([\w-]+)(?: \(extra `(\w+)`\))?(?:, |$)", cell)
        if match[1] != "package"
    }
    assert sorted(listed) == sorted(map(name_of, [*project["dependencies"], *chain(*extras.values())]))
    assert {extra for extra in listed.values() if extra} == set(extras)


def test_every_page_of_the_docs_is_in_the_index() -> None:
    linked = set(re.findall(r"\(docs/([\w-]+\.md)\)", section("Documentation")))
    assert linked == {page.name for page in PAGES[1:]}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_links_to_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for link in re.findall(r"\]\((?!https?:|mailto:|#)([^)#\s]+)(?:#[^)]*)?\)", text):
        assert (page.parent / link).exists(), link


def test_every_command_exists() -> None:
    found = re.findall(r"(?:^|`)auth-gateway ([a-z]+)(?: ([a-z-]+(?:\|[a-z-]+)*))?", README, re.M)
    assert len(found) > 8
    context = click.Context(main)
    for name, words in found:
        command = main.get_command(context, name)
        assert command, name
        for word in words.split("|") if words and isinstance(command, click.Group) else ():
            assert command.get_command(context, word), f"{name} {word}"


def test_the_changelog_lists_the_commands() -> None:
    line = re.search(r"^- Commands: (.+)\.$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.M)
    assert line
    assert re.findall(r"`([\w-]+)`", line[1]) == list(COMMANDS)


def test_the_examples_are_a_sound_configuration(tmp_path: Path) -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", README, re.S)
    assert len(blocks) == 5
    token = tmp_path / "twilio_token"
    token.write_text("token")
    token.chmod(0o600)
    for another in blocks[3:]:
        (tmp_path / "config.yaml").write_text(another)
        load(tmp_path / "config.yaml", {})
    text = "".join(blocks[:3]).replace("ACxxx", "AC000").replace("x" * 29, "0" * 29)
    (tmp_path / "config.yaml").write_text(text.replace("/run/secrets/twilio_token", str(token)))
    load(tmp_path / "config.yaml", {})
    shipped = yaml.safe_load((ROOT / "config.yaml").read_text())
    assert yaml.safe_load(blocks[0])["routes"] == shipped["routes"]


def test_every_key_that_is_named_exists() -> None:
    sections = Config.model_fields
    for name, key in re.findall(r"`(\w+)\.(\w+)(?:`|:)", README):
        if name in sections and name not in ("sms", "email", "directory"):
            fields = sections[name].annotation.model_fields  # type: ignore[union-attr]
            assert key in fields, f"{name}.{key}"
