"""The command `import` for tests that need no configuration; others have a `command` of their own."""

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.cli import main


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
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
