"""Every shell command of the documentation is tried: run in a folder with what the page assumes, or not, and why."""

import json
import re
import shlex
import shutil
import sqlite3
import subprocess
import tomllib
from contextlib import suppress
from itertools import product
from pathlib import Path
from urllib.parse import urlsplit

import click
import pytest
from click.testing import CliRunner

from gateway.cli import main
from tests.rig import running_gateway
from tests.unit.docs.commands import ROOT, Command, inline, printed
from tests.unit.docs.test_start_page import read_command

PASSWORD = "correct horse battery"
CONFIG = """
server: {public_url: "https://login.example.com", trusted_proxies: [127.0.0.1]}
session: {domain: example.com, keys_file: var/session.keys}
storage: {url: "sqlite:///var/gateway.db"}
passwords: {argon2_memory: 7MiB, argon2_passes: 5}
routes:
  - {name: api, host: api.example.com, upstream: "http://127.0.0.1:9000", tokens: true,
     policy: {require: two_factor, machine_suffices: true}}
  - {host: app.example.com, upstream: "http://127.0.0.1:9000"}
"""
NOT_RUN = {
    "auth-gateway serve": "goes on until it is stopped; tests/integration/test_wheel.py starts it",
    "make run": "the same; tests/integration/test_wheel.py starts the demo",
    "make test": "is what runs this",
    "make e2e": "is part of `make test`",
    "make lint": "CI runs it",
    "make help": "tests/unit/docs/test_deploy.py runs it",
    "pip install": "asks the package index; the extras that it names are looked up",
    "helm install": "needs a cluster; test_deploy_helm.py renders the chart with these options",
    "helm template": "needs helm; test_deploy_helm.py renders the chart with these options",
    "kubernetes-validate": "test_deploy_helm.py asks the same of its schemas",
    "kubectl": "needs a cluster; the names in it are looked up in deploy/",
    "curl": "needs the reader's gateway; its paths are looked up",
    "sudo": "needs root and fail2ban; tests/integration/test_fail2ban.py does the same",
    "fail2ban-regex": "reads the journal; tests/integration/test_fail2ban.py gives it a log",
    "nginx -t": "tests/unit/cli/test_export.py has nginx read every export",
    ". .venv/bin/activate": "what `make run` made",
}
"""The beginning of a command that is not run here, and why. Its words are still held against what is there."""
OTHER_ENDINGS = {
    "doctor": {0, 1},  # a fault is found, as the page shows
    "import ": {0, 1, 3},  # something could not come along, or is looser than it was
    "limit lift": {1},  # nobody is locked
    "registration approve": {1},  # nobody waits
    "registration refuse": {1},
}
"""What may come out but 0."""


PRINTED: dict[str, list[Command]] = {}
for one in printed():  # what the page of needs says of one of them does not go on in the next
    PRINTED.setdefault(f"{one.page} {one.section}" if one.page == "start.md" else one.page, []).append(one)


def why_not(line: str) -> str | None:
    return next((reason for start, reason in NOT_RUN.items() if line.startswith(start)), None)


def prepare(folder: Path, page: str) -> None:
    """What a reader of the page has: a configuration, and the files that its commands read."""
    acme = ", tls: {acme: {email: ops@example.com, agree_to_terms: true, hosts: [login.example.com]}}"
    wanted = any(command.line.endswith("acme status") for command in PRINTED[page])
    config = CONFIG.replace("127.0.0.1]}", f"127.0.0.1]{acme if wanted else ''}}}", 1)
    for name in ("config.yaml", "new.yaml", "etc/auth-gateway/config.yaml"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(config)
    samples = ROOT / "tests/data/imports"
    for name, sample in (
        ("oauth2-proxy.cfg", "oauth2-proxy.cfg"),
        ("htpasswd", "htpasswd"),
        ("users_database.yml", "authelia_users.yml"),
        ("configuration.yml", "authelia_configuration.yml"),
    ):
        shutil.copy(samples / sample, folder / name)
    (folder / "people.csv").write_text("username,email\ncarol,carol@example.com\n")
    (folder / "key").write_text("a key of Authelia's\n")
    with sqlite3.connect(folder / "db.sqlite3") as database:
        database.execute(
            "CREATE TABLE totp_configurations (username, issuer, algorithm, digits, period, secret)"
        )
        database.execute("CREATE TABLE webauthn_credentials (username)")
    database.close()
    access = {"logger": "gateway.access", "method": "GET", "host": "app.example.com", "path": "/"}
    for name in ("var/log/auth-gateway/access.log", "backup/none"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / "var/log/auth-gateway/access.log").write_text(json.dumps(access) + "\n")


@pytest.fixture(scope="module")
def users(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders where bob is a user, and alice too unless the page adds her: making them takes as long as all else."""
    folder = tmp_path_factory.mktemp("users")
    (folder / "config.yaml").write_text(CONFIG)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        ran(folder, "auth-gateway user add bob --phone +15551234567")
        shutil.copytree("var", "without-alice")
        ran(folder, "auth-gateway user add alice --phone +15551234567")
    return folder


def ran(folder: Path, line: str) -> int:
    """Runs a command of ours as typed, with what it asks for; absolute paths are those of the folder. The exit code."""
    words = [f"{folder}{word}" if word.startswith("/") else word for word in shlex.split(line)[1:]]
    typed = "y\n" if "reset-factors" in line else f"{PASSWORD}\n" * 2
    if words[:2] == ["user", "add"]:
        words.append("--password-stdin")  # there is no terminal to ask on
    result = CliRunner().invoke(main, words, input=typed)
    assert result.exception is None or isinstance(result.exception, SystemExit), (line, result.exception)
    told = f"{line}\n{result.output}"
    assert result.exit_code in next((ok for name, ok in OTHER_ENDINGS.items() if name in line), {0}), told
    return result.exit_code


@pytest.mark.parametrize("page", PRINTED)
def test_the_commands_of_a_page_run_one_after_the_other(
    page: str, users: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    prepare(tmp_path, page)
    adds = any("user add alice" in command.line for command in PRINTED[page])
    shutil.copytree(users / ("without-alice" if adds else "var"), "var", dirs_exist_ok=True)
    for command in PRINTED[page]:
        line = re.sub(r"^\w+=\$\((.*)\)$", r"\1", command.line)
        if why_not(line):
            continue
        if line.startswith("auth-gateway restore "):
            shutil.rmtree("var")  # the machine that was lost
        if line.startswith("auth-gateway "):
            ran(tmp_path, line)
        else:
            assert line.split()[0] in ("printf", "mkdir"), f"say in NOT_RUN why {line!r} is not run"
            subprocess.run(["sh", "-euc", line], check=True)


def test_each_command_that_is_not_run_is_known_and_each_reason_is_needed() -> None:
    lines = [command.line for commands in PRINTED.values() for command in commands]
    for start in NOT_RUN:
        assert any(line.startswith(start) for line in lines), f"nobody prints {start!r}"
    for name in OTHER_ENDINGS:
        assert any(name in line for line in lines), f"nobody prints {name!r}"


def test_what_a_command_that_is_not_run_names_is_there() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    targets = set(re.findall(r"^([a-z0-9-]+):.*##", (ROOT / "Makefile").read_text(), re.M))
    deployed = "".join(file.read_text() for file in sorted((ROOT / "deploy").rglob("*.yaml")))
    for command in (*printed(), *inline()):
        words = command.line.split()
        if words[0] == "make":
            assert words[1] in targets, command
        for extra in re.findall(r"auth-gateway\[([\w,]+)\]", command.line):
            assert set(extra.split(",")) <= set(extras), command
        if words[:2] == ["python", "-m"]:
            module = ROOT / words[2].replace(".", "/")
            assert module.with_suffix(".py").exists() or (module / "__main__.py").exists(), command
        if words[0] == "kubectl" and "secret" in words:
            assert words[words.index("generic") + 1] in deployed, command


def spelled(line: str) -> list[str]:
    """Every command that a sentence means by `a|b` and [--may be left out]."""
    line = re.split(r" [<>|] |#", line.replace("[", "").replace("]", ""))[0]
    line = re.sub(r"(?<! --phone) …", "", line).replace("…", "1").replace("ENGINE", "nginx")
    return [" ".join(words) for words in product(*(word.split("|") for word in line.split()))]


@pytest.mark.parametrize(
    "command", [c for c in inline() if c.line.startswith("auth-gateway")], ids=lambda c: f"{c.page}: {c.line}"
)
def test_a_command_in_a_sentence_is_one_of_this_version(command: Command) -> None:
    for line in spelled(command.line):
        words = shlex.split(line)[1:]
        with suppress(click.MissingParameter):  # a sentence may name the command alone
            if not isinstance(main.get_command(click.Context(main), words[0]), click.Group) or words[1:]:
                read_command(words)


def test_a_command_in_a_sentence_that_is_not_there_is_found() -> None:
    for wrong in ("auth-gateway usr list", "auth-gateway user ad|show NAME", "auth-gateway check --lve"):
        with pytest.raises(click.UsageError):
            test_a_command_in_a_sentence_is_one_of_this_version(Command("x", "", wrong))


async def test_what_a_printed_curl_asks_for_is_there(tmp_path: Path) -> None:
    urls = [url for c in printed() if c.line.startswith("curl") for url in re.findall(r"https://\S+", c.line)]
    paths = {urlsplit(url).path for url in urls}
    assert len(paths) >= 3
    async with (
        running_gateway(tmp_path, server={"trusted_proxies": ["127.0.0.1"]}) as rig,
        rig.browser() as curl,
    ):
        for path in paths:
            assert (await curl.get(path, Accept="*/*")).status in (200, 303, 400, 401), path
