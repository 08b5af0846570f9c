"""What a release consists of says the same version everywhere, and the changelog is dated."""

import re
import tomllib
from pathlib import Path

from packaging.version import Version

from gateway import __version__

ROOT = Path(__file__).resolve().parents[3]
CHANGELOG = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
HEADINGS = re.findall(r"^## \[(.+?)\](?: - (\S+))?$", CHANGELOG, re.M)


def test_project_and_package_have_one_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == __version__


def test_every_release_in_the_changelog_has_its_date() -> None:
    assert HEADINGS[0] == ("Unreleased", "")
    for version, date in HEADINGS[1:]:
        assert re.fullmatch(r"\d+\.\d+\.\d+", version)
        assert re.fullmatch(r"20\d\d-[01]\d-[0-3]\d", date), version


def test_the_version_in_the_code_is_released_or_about_to_be() -> None:
    released = [Version(version) for version, _ in HEADINGS[1:]]
    assert released == sorted(released, reverse=True)
    assert not released or Version(__version__) >= released[0]
