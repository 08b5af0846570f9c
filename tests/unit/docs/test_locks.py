"""The locked versions are ones that pyproject.toml allows, complete, and each held by hashes."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[3]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
IMAGE_EXTRAS = ("postgres", "redis", "ldap", "otel", "acme", "scim")
LOCKS = {
    "deploy/requirements.lock": [PROJECT["dependencies"], *(EXTRAS[name] for name in IMAGE_EXTRAS)],
    ".ci/requirements.lock": [PROJECT["dependencies"], *EXTRAS.values()],
}


def entries(lock: str) -> list[tuple[Requirement, int]]:
    """Each locked requirement with the number of its hashes."""
    text = (ROOT / lock).read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(Requirement(line.split(" --hash=")[0].strip()), line.count("--hash=sha256:")) for line in lines]


@pytest.mark.parametrize("lock", LOCKS)
def test_every_dependency_is_locked_at_a_version_that_is_allowed(lock: str) -> None:
    locked = {
        canonicalize_name(found.name): next(iter(found.specifier)).version for found, _ in entries(lock)
    }
    wanted = [Requirement(text) for group in LOCKS[lock] for text in group]
    assert wanted
    refused = [
        str(one)
        for one in wanted
        if not one.specifier.contains(locked.get(canonicalize_name(one.name), "0"), prereleases=True)
    ]
    missing = [str(one) for one in wanted if canonicalize_name(one.name) not in locked]
    assert (refused, missing) == ([], []), "run `make lock`"


@pytest.mark.parametrize("lock", LOCKS)
def test_every_locked_version_is_exact_and_has_hashes(lock: str) -> None:
    for requirement, hashes in entries(lock):
        assert re.fullmatch(r"==[^*,]+", str(requirement.specifier)), requirement
        assert hashes, requirement


def test_the_image_and_the_lock_have_the_same_extras() -> None:
    assert f"IMAGE_EXTRAS := {' '.join(IMAGE_EXTRAS)}\n" in (ROOT / "Makefile").read_text()
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert "--require-hashes -r requirements.lock" in dockerfile
    assert "!deploy/requirements.lock" in (ROOT / ".dockerignore").read_text().splitlines()


def test_both_locks_agree_where_both_name_a_package() -> None:
    image, tests = ({found.name: str(found) for found, _ in entries(lock)} for lock in LOCKS)
    assert {name: line for name, line in tests.items() if name in image} == image
