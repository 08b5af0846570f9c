"""A configuration's files are watched: what changed and came to rest is read again, what is being written is not."""

import os
from pathlib import Path

import pytest

from gateway.config.loader import load
from gateway.config.schema import Config
from gateway.errors import ConfigError
from gateway.server.process.config_source import LOOK_EVERY, ConfigSource

BASE = 'server: {reload: on_change}\nroutes: [{upstream: "http://127.0.0.1:9000"}]\n'


class Watched:
    """A configuration in a folder, and a clock by hand."""

    def __init__(self, folder: Path, text: str) -> None:
        self.file = folder / "config.yaml"
        self.now = 100.0
        self.file.write_text(text)
        self.source = ConfigSource(self.read(), self.read)
        self.look()

    def read(self) -> Config:
        return load(self.file, {})

    def write(self, text: str) -> None:
        other = self.file.with_suffix(".new")
        other.write_text(text)
        os.replace(other, self.file)

    def look(self) -> bool:
        self.now += LOOK_EVERY
        return self.source.changed(self.now)

    def looks(self) -> list[bool]:
        return [self.look() for _ in range(4)]


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path, BASE)


def test_a_change_counts_once_and_only_when_it_is_at_rest(watched: Watched) -> None:
    assert watched.looks() == [False] * 4
    watched.write(BASE + "# 1\n")
    assert not watched.look()
    watched.write(BASE + "# 1\n# 2\n")  # still being written
    assert watched.looks() == [False, True, False, False]
    watched.source.read()
    assert watched.looks() == [False] * 4


def test_no_look_is_taken_before_its_time(watched: Watched) -> None:
    watched.write(BASE + "# 1\n")
    assert not any(watched.source.changed(watched.now + moment / 10) for moment in range(19))


def test_by_default_nothing_is_watched_and_a_reload_can_switch_it_on(tmp_path: Path) -> None:
    still = Watched(tmp_path, BASE.replace("on_change", "signal"))
    still.write(BASE)
    assert still.looks() == [False] * 4
    still.source.read()
    still.write(BASE + "# 1\n")
    assert True in still.looks()
    still.source.read()
    still.write(BASE.replace("on_change", "signal"))
    assert True in still.looks()
    still.source.read()
    still.write(BASE + "# 2\n")
    assert still.looks() == [False] * 4


def test_included_files_new_ones_and_secrets_are_watched(tmp_path: Path) -> None:
    folder, secret = tmp_path / "conf.d", tmp_path / "secret"
    folder.mkdir()
    secret.write_text("one")
    mail = f"email: {{provider: smtp, host: h, from: a@b.example, username: u, password_file: {secret}}}\n"
    watched = Watched(tmp_path, f'include: ["conf.d/*.yaml"]\n{BASE}{mail}')

    def seen() -> bool:
        found = watched.looks()
        watched.source.read()
        return found == [False, True, False, False] and watched.looks() == [False] * 4

    (folder / "a.yaml").write_text("log: {level: info}\n")
    assert seen()
    (folder / "a.yaml").write_text("log: {level: error}\n")
    assert seen()
    secret.write_text("another")
    assert seen()
    (folder / "a.yaml").unlink()
    assert seen()


def test_a_refused_configuration_is_not_read_again_until_it_is_mended(
    watched: Watched, tmp_path: Path
) -> None:
    watched.write(BASE + "include: [more.yaml]\n")
    assert True in watched.looks()
    with pytest.raises(ConfigError):
        watched.source.read()
    assert watched.looks() == [False] * 4
    (tmp_path / "more.yaml").write_text("log: {level: error}\n")  # the file that was missing
    assert True in watched.looks()
    assert watched.source.read().log.level == "error"


def test_what_changes_while_it_is_read_is_read_again(tmp_path: Path) -> None:
    watched = Watched(tmp_path, BASE)

    def slow_read() -> Config:
        config = watched.read()
        watched.write(BASE + "# written a moment too late\n")
        return config

    watched.source = ConfigSource(watched.read(), slow_read)
    watched.source.read()
    assert True in watched.looks()


def test_a_folder_turned_by_a_symbolic_link_is_a_change(tmp_path: Path) -> None:
    """As Kubernetes changes a ConfigMap: the file is a link into `..data`, which is a link to a dated folder."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.yaml").write_text(BASE)
    (tmp_path / "..data").symlink_to("one")
    (tmp_path / "config.yaml").symlink_to("..data/config.yaml")
    source = ConfigSource(load(tmp_path / "config.yaml", {}), lambda: load(tmp_path / "config.yaml", {}))
    (tmp_path / "..new").symlink_to("two")
    os.replace(tmp_path / "..new", tmp_path / "..data")
    assert [source.changed(LOOK_EVERY * n) for n in range(3)] == [False, True, False]
