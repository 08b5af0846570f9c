"""Where `serve` has its configuration from: reads it, and notices when its files change (`server.reload: on_change`).

The parent of the workers may run no thread, as it forks, so it looks at the files itself, between other things. This
also works where a kernel tells nothing: network file systems, and ConfigMaps, which Kubernetes changes by turning a
symbolic link.
"""

import glob
import logging
import os
from collections.abc import Callable
from pathlib import Path

from gateway.config.schema import Config
from gateway.errors import ConfigError

log = logging.getLogger("gateway.workers")

LOOK_EVERY = 2.0
"""Seconds between two looks. A change counts when two looks agree: nobody is halfway through writing then."""

_State = dict[str, tuple[int, int, int] | None]
"""File name -> when it was written, its size and inode; None for one that is not there."""


class ConfigSource:
    """The files of one configuration. `load` reads them and raises ConfigError; `config` is what they said first."""

    def __init__(self, config: Config, load: Callable[[], Config]) -> None:
        self._load = load
        self._watched = config.server.reload == "on_change"
        self._files = _files(config)
        self._in_force = self._last = _state(self._files)
        self._due = float("-inf")

    def read(self) -> Config:
        """The configuration anew. One with mistakes is watched too, so that mending it is noticed."""
        before = _state(self._files)  # what changes while we read is read again
        try:
            config = self._load()
        except ConfigError as error:
            self._watch((*self._files, *error.sources), before)
            raise
        self._watched = config.server.reload == "on_change"
        self._watch(_files(config), before)
        return config

    def changed(self, now: float) -> bool:
        """Whether the files have been changed and are at rest again. `now` is in seconds of a clock that only grows."""
        if not self._watched or now < self._due:
            return False
        self._due = now + LOOK_EVERY
        before, self._last = self._last, _state(self._files)
        if self._last == self._in_force or self._last != before:
            return False
        self._in_force = self._last
        log.info("files of the configuration have changed: reload")
        return True

    def _watch(self, files: tuple[Path, ...], before: _State) -> None:
        """Watch these from now on. `before` is how those that were watched already were when they were read."""
        self._files = tuple(dict.fromkeys(files))
        self._last = _state(self._files)
        self._in_force = {name: before.get(name, facts) for name, facts in self._last.items()}


def refuse_reload(error: Exception) -> None:
    """One log line for each mistake: an operator mends them all before the next try."""
    for mistake in error.mistakes if isinstance(error, ConfigError) else [error]:
        log.error("reload refused: %s", mistake)
    log.error("the old configuration stays in force")


def _files(config: Config) -> tuple[Path, ...]:
    """What is read at the start and at a reload only, patterns of `include` among them."""
    tls = config.server.tls
    certificates = (tls.cert_file, tls.key_file, tls.client_ca_file) if tls is not None else ()
    others = (*certificates, config.risk.geoip_file)
    return (*config.sources, *(file for file in others if file is not None))


def _state(files: tuple[Path, ...]) -> _State:
    names = [name for file in files for name in sorted(glob.glob(str(file))) or [str(file)]]
    return {name: _facts(name) for name in names}


def _facts(name: str) -> tuple[int, int, int] | None:
    try:
        found = os.stat(name)
    except (OSError, ValueError):
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
