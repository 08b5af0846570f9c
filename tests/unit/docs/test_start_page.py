"""docs/start.md: each need is there and short, and its commands are commands of this version with these options."""

import re
import shlex
from pathlib import Path

import click
import pytest

from gateway.cli import main

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs" / "start.md"
NEEDS = (
    *("Protect one app", "Behind nginx", "Kubernetes"),
    *("The first administrator, and many users at once", "Behind Cloudflare"),
    *("From oauth2-proxy or Authelia", "Programs"),
    *("A lost phone", "Certificates by ACME", "Many replicas"),
)
LONGEST = 8
CONSOLE = re.compile(r"^```console\n(.*?)^```$", re.M | re.S)


def sections() -> dict[str, str]:
    return dict(re.findall(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", PAGE.read_text(encoding="utf-8"), re.M | re.S))


def commands() -> list[str]:
    """Our commands, lines that go on put together."""
    blocks = CONSOLE.findall(PAGE.read_text(encoding="utf-8"))
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [line.removeprefix("$ ") for line in lines if line.startswith("$ auth-gateway ")]


def read_command(words: list[str]) -> None:
    """Have click read a command and its options without running it. Raises UsageError if it knows no such thing."""
    command: click.Command = main
    parent: click.Context | None = None
    while isinstance(command, click.Group):
        name, *words = words
        parent = click.Context(command, parent=parent, info_name=name)
        below = command.get_command(parent, name)
        if below is None:
            raise click.UsageError(f"no command {name}")
        command = below
    try:
        command.make_context(command.name, words, parent=parent)
    except click.BadParameter as error:
        if "does not exist" not in error.format_message():  # the reader's files are not here
            raise


def test_each_need_has_a_few_lines_and_a_page_that_says_the_rest() -> None:
    assert tuple(sections()) == NEEDS
    for need, text in sections().items():
        blocks = re.findall(r"^```\w+\n(.*?)^```$", text, re.M | re.S)
        assert blocks, f"{need}: nothing to copy"
        assert 1 <= sum(len(block.splitlines()) for block in blocks) <= LONGEST, need
        assert re.search(r"\]\([\w-]+\.md\)", text), f"{need}: where is the rest?"


@pytest.mark.parametrize("line", commands())
def test_a_command_is_one_of_this_version(line: str) -> None:
    read_command(shlex.split(line)[1:])


def test_a_command_that_is_not_there_is_found() -> None:
    for wrong in ("user bypas alice", "user bypass alice --fr 1h", "user bypass", "user bypass alice bob"):
        with pytest.raises(click.UsageError):
            read_command(wrong.split())
