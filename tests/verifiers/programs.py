"""Prepares the snippets to run: what they need is fetched by their own package managers, once for all runs."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.relying_parties.programs import node_modules
from tests.services import missing

HERE = Path(__file__).parent
SNIPPETS = HERE.parents[1] / "docs" / "verify"
_GO_MODULE = """module verify.test

go 1.23

require (
\tgithub.com/MicahParks/jwkset v0.11.0 // indirect
\tgithub.com/MicahParks/keyfunc/v3 v3.7.0
\tgithub.com/golang-jwt/jwt/v5 v5.3.0
\tgolang.org/x/time v0.9.0 // indirect
)
"""


def node(folder: Path) -> list[str]:
    (folder / "node_modules").symlink_to(node_modules())
    for file in (SNIPPETS / "verify.mjs", HERE / "check.mjs"):
        shutil.copy(file, folder)
    return ["node", str(folder / "check.mjs")]


def go(folder: Path) -> list[str]:
    """Go keeps what it fetched and compiled in caches of its own."""
    if shutil.which("go") is None:
        pytest.skip("Go is not installed")
    (folder / "verify").mkdir()
    shutil.copy(SNIPPETS / "go" / "verify.go", folder / "verify")
    shutil.copy(HERE / "check.go.txt", folder / "main.go")
    (folder / "go.mod").write_text(_GO_MODULE)
    for command in (["go", "mod", "tidy"], ["go", "build", "-o", "check", "."]):
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=240, check=False)
        if done.returncode != 0:
            missing(f"{' '.join(command)} failed: {done.stderr[-300:]}")
    return [str(folder / "check")]


def php_library() -> Path | None:
    """firebase/php-jwt, which Composer's registry has alone: PHP_JWT names the folder of its sources."""
    named = os.environ.get("PHP_JWT", "/usr/share/php/Firebase/JWT")
    return Path(named) if Path(named, "JWT.php").exists() else None
