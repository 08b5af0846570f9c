"""The commands as an administrator types them: on a configuration of its own, or `import`, which needs none."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.cli import main
from gateway.cli.context import Opened, run
from tests.cli_rig import CONFIG, T


@pytest.fixture
def importing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Runs `import` in a folder without config.yaml: telling what would happen needs none."""
    monkeypatch.chdir(tmp_path)

    def invoke(*arguments: object, **files: str) -> Result:
        given = [word for name, text in files.items() for word in (f"--{name.replace('_', '-')}", text)]
        for number, word in enumerate(given):
            if number % 2:
                file = tmp_path / f"input{number}"
                file.write_text(word)
                given[number] = str(file)
        result = CliRunner().invoke(main, ["import", *map(str, arguments), *given])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
        return result

    return invoke


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "config.yaml"
    file.write_text(CONFIG.format(folder=tmp_path / "var"))
    return file


@pytest.fixture
def command(config: Path) -> Callable[..., Result]:
    def invoke(*arguments: str, input: str = "") -> Result:
        result = CliRunner().invoke(main, [*arguments, "--config", str(config)], input=input)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
        return result

    return invoke


@pytest.fixture
def take_over(command: Callable[..., Result]) -> Callable[..., Result]:
    """Runs `import`, with the configuration that users are stored by."""
    return lambda *arguments: command("import", *map(str, arguments))


@pytest.fixture
def stored(config: Path) -> Callable[[Callable[[Opened], Awaitable[T]]], T]:
    return lambda work: run(config, work)
