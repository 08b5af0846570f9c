"""The wheel is whole: installed without the checkout, the command works with its templates and migrations."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from zipfile import ZipFile

import pytest

from gateway import __version__

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.xdist_group("processes")


def run(*command: str | Path, cwd: Path) -> "subprocess.CompletedProcess[str]":
    env = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")}
    return subprocess.run(
        [str(part) for part in command], cwd=cwd, env=env, capture_output=True, text=True, timeout=300
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    # From a copy: a build must not see, or leave, anything in the checkout.
    source = folder / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE", ".gitignore"):
        shutil.copy(ROOT / name, source)
    for name in ("gateway", "templates"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__", "*.mo"))
    built = run(sys.executable, "-m", "pip", "wheel", "--no-deps", "-w", folder, ".", cwd=source)
    assert built.returncode == 0, built.stderr
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command in an environment of its own. Dependencies are lent by this one, our package is not."""
    folder = tmp_path_factory.mktemp("installed")
    # Without a pip of its own, which takes longer to install than all else.
    assert run(sys.executable, "-m", "venv", "--without-pip", folder / "venv", cwd=folder).returncode == 0
    pip = (sys.executable, "-m", "pip", "--python", folder / "venv/bin/python")
    result = run(*pip, "install", "--no-deps", "--no-index", wheel, cwd=folder)
    assert result.returncode == 0, result.stderr
    site = next((folder / "venv/lib").glob("python*/site-packages"))
    (site / "lent.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder


def test_wheel_holds_templates_migrations_static_files_and_compiled_catalogues(wheel: Path) -> None:
    names = ZipFile(wheel).namelist()
    assert "gateway/_templates/login.html" in names
    assert "gateway/portal/static/style.css" in names
    assert "gateway/cli/demo/page.html" in names
    for tag in ("ar", "de", "ja", "pt-BR", "zh-Hans"):
        assert f"gateway/i18n/locales/{tag}/LC_MESSAGES/messages.mo" in names
    assert any(name.startswith("gateway/stores/migrations/versions/") for name in names)
    assert not any(name.startswith(("tests/", "var/")) for name in names)


def test_the_page_on_the_package_index_has_no_link_into_a_checkout(wheel: Path) -> None:
    archive = ZipFile(wheel)
    name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
    metadata = archive.read(name).decode()
    links = re.findall(r'\]\(([^)]+)\)|src="([^"]+)"', metadata)
    targets = [one or other for one, other in links]
    assert len(targets) > 40
    assert [target for target in targets if not target.startswith(("https://", "#"))] == []
    assert "Classifier: Typing :: Typed" in metadata
    assert "gateway/py.typed" in archive.namelist()


def test_installed_command_tells_its_version(installed: Path) -> None:
    result = run(installed / "venv/bin/auth-gateway", "version", cwd=installed)
    assert result.stdout.startswith(f"auth-gateway {__version__} ")


def test_installed_command_is_not_the_checkout(installed: Path) -> None:
    code = "import gateway; print(gateway.__file__)"
    assert run(installed / "venv/bin/python", "-c", code, cwd=installed).stdout.startswith(str(installed))


def test_installed_package_speaks_all_its_languages(installed: Path) -> None:
    code = """
from gateway.i18n.catalogues import NAMES, language
print(*(language(tag).say("Sign in", {}) for tag in NAMES), sep="|")
"""
    result = run(installed / "venv/bin/python", "-c", code, cwd=installed)
    said = "Sign in|تسجيل الدخول|Anmelden|Iniciar sesión|Se connecter|Accedi|サインイン|로그인|Inloggen"
    said += "|Zaloguj się|Entrar|Войти|Oturum aç|登录|登入"
    assert result.stdout.strip() == said, result.stderr


def test_installed_command_checks_the_shipped_configuration(installed: Path) -> None:
    shutil.copy(ROOT / "config.yaml", installed)
    result = run(installed / "venv/bin/auth-gateway", "check", "--config", "config.yaml", cwd=installed)
    assert result.returncode == 0, result.stdout + result.stderr


def test_installed_command_brings_a_new_database_up_to_date(installed: Path) -> None:
    shutil.copy(ROOT / "config.yaml", installed)
    result = run(installed / "venv/bin/auth-gateway", "user", "list", "--json", cwd=installed)
    assert (result.returncode, result.stdout.strip()) == (0, "[]"), result.stderr
