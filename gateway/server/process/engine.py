"""Envoy as a child of the supervisor (`server.engine: envoy`): started, watched, told of a new configuration, drained.

It listens where `server.listen` says; workers read a unix socket in a private folder, where Envoy's files and its admin
socket are, too. A new configuration is new files that Envoy watches, so it is never restarted for one.
"""

import ctypes
import logging
import os
import re
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from gateway.config.checks.engine import MEND, OLDEST, envoy_program
from gateway.config.schema import Config
from gateway.engines.front_place import ADMIN, BOOTSTRAP, ENDED, NOBODY, PIPE, EnginePlace
from gateway.errors import GatewayError
from gateway.server.process.engine_admin import EnvoyAdmin
from gateway.server.process.engine_authorities import Authorities
from gateway.server.process.generation import BACK_OFF, HEALTHY_AFTER, worker_count
from gateway.server.process.sockets import Listeners, addresses_to_listen_on
from gateway.server.tls.acme.cache import Signature
from gateway.server.tls.context import acme_signature, authorities, pem_pair

log = logging.getLogger("gateway.engine")
LOOK_EVERY = 0.1
"""Seconds between looks while Envoy starts, takes in a configuration, or drains."""
START_TIMEOUT = 60.0
_LONGEST_FOLDER = 85  # unix(7): 107 bytes for a socket's path
_PR_SET_PDEATHSIG = 1
_LEVELS = {"critical": logging.ERROR, "error": logging.ERROR, "warning": logging.WARNING}


class EngineError(GatewayError):
    """Envoy can't serve; the message is one line for the operator, with the mend."""


class Engine:
    """One Envoy. Times are the supervisor's clock.

    Attributes:
        due: when it is started again, None while it runs.
    """

    def __init__(self, config: Config, *, program: str | None = None) -> None:
        """Raises EngineError and ListenError."""
        found = program or envoy_program()
        if found is None:
            raise EngineError(f"server.engine is envoy, but there is no Envoy here: {MEND}")
        self._program, self.version = found, _version(found)
        for listen in config.server.main:
            addresses_to_listen_on(listen, probe=True)
        self.folder = Path(tempfile.mkdtemp(prefix="auth-gateway-", dir=os.environ.get("RUNTIME_DIRECTORY")))
        if len(str(self.folder)) > _LONGEST_FOLDER:
            shutil.rmtree(self.folder)
            raise EngineError(
                f"{self.folder} is too long a path for sockets: set RUNTIME_DIRECTORY to a short one"
            )
        self._sockets, self._socket = 0, ""
        self._nobody = Listeners(f"unix:{self.folder / NOBODY}")  # connects, and never answers
        self._nobody.grow(1)
        self._pipe = _make_pipe(self.folder)
        (self.folder / ENDED).mkdir(0o700)
        self._admin, self._authorities = EnvoyAdmin(self.folder / ADMIN), Authorities(self.folder)
        self._config = config
        self._process: subprocess.Popen[bytes] | None = None
        self._started, self._failures = 0.0, 0
        self._rest = b""
        self.last_words = ""
        self.due: float | None = None
        self._settled, self._served = False, False
        self._waiting_since: float | None = None
        self._files: dict[str, str] = {}
        self._certificate: Signature | None = None

    # -- configuration ---------------------------------------------------------------------------------------------

    def check(self, config: Config) -> None:
        """See whether a new configuration can be served. Raises EngineError and ListenError."""
        if config.server.engine != "envoy":
            raise EngineError("server.engine can't be changed by a reload: stop and start the gateway for it")
        for listen in config.server.main:
            if listen not in self._config.server.main:
                addresses_to_listen_on(listen, probe=True)

    def new_listeners(self) -> Listeners:
        """Make the unix socket of one generation of workers; which one Envoy asks says `point`."""
        self._sockets += 1
        return Listeners(f"unix:{self.folder}/workers-{self._sockets}.sock")

    def point(self, listeners: Listeners) -> bool:
        """Let Envoy ask the workers that read these; returns whether it asked others so far.

        Envoy itself then ends its connections to the others, behind the requests under way, so that none meets a
        worker that is closing, and none that comes later meets the old configuration.
        """
        new = listeners.listen.removeprefix("unix:")
        other, self._socket = new != self._socket, new
        if other and self._files:
            self.apply(self._config)
        return other

    def apply(self, config: Config) -> None:
        """Write what Envoy watches; `current` tells when it has taken that in. Raises OSError."""
        server = config.server
        pair = pem_pair(server.tls)
        place = EnginePlace(
            folder=self.folder,
            socket=self._socket,
            addresses=tuple(address for one in server.main for address in addresses_to_listen_on(one)),
            workers=worker_count(config),
            certificate=pair[0],
            key=pair[1],
            authorities=self._authorities.take(authorities(server.tls)),
        )
        self._config, self._settled, self._waiting_since, self.last_words = config, False, None, ""
        from gateway.server.process.engine_files import engine_files  # not above: see Worker, on metrics

        self._certificate = acme_signature(server.tls)
        self._admin.mark()
        self._files = engine_files(config, place)
        for name, content in self._files.items():
            _write(self.folder / name, content)

    def renew_certificate(self) -> None:
        """Give Envoy the certificate that a worker got by ACME since the last look. Raises OSError."""
        if acme_signature(self._config.server.tls) != self._certificate:
            self.apply(self._config)
            log.info("Envoy has the new certificate")

    @property
    def follows_certificate(self) -> bool:
        """Whether workers get the certificate, by ACME."""
        return getattr(self._config.server.tls, "acme", None) is not None

    def current(self) -> bool:
        """Whether Envoy serves, with the configuration that was last applied."""
        if not self._settled and self._process is not None:
            self._settled = self._served = self._admin.serves(self._files)
        return self._settled

    # -- the process -----------------------------------------------------------------------------------------------

    @property
    def alive(self) -> bool:
        return self._process is not None

    def fileno(self) -> int:
        """Return the descriptor of what Envoy says; its end is Envoy's end."""
        assert self._process is not None
        assert self._process.stderr is not None
        return self._process.stderr.fileno()

    def start(self, now: float) -> None:
        """Start the engine. Raises EngineError."""
        drain = max(1, round(self._config.server.drain_timeout))
        words = [self._program, "-c", str(self.folder / BOOTSTRAP), "--use-dynamic-base-id"]
        words += ["--concurrency", str(worker_count(self._config)), "--drain-strategy", "immediate"]
        words += ["--drain-time-s", str(drain), "--log-level", "warning", "--log-format", "%l %v"]
        try:
            self._process = subprocess.Popen(  # noqa: S603 - its own program, no shell
                words,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                cwd=self.folder,
                preexec_fn=_die_with_parent,
                start_new_session=True,
            )
        except OSError as error:
            raise EngineError(f"{self._program} can't be started ({error.strerror}): {MEND}") from error
        assert self._process.stderr is not None
        os.set_blocking(self._process.stderr.fileno(), False)
        self._started, self.due, self._rest = now, None, b""
        self._settled, self._served, self._waiting_since = False, False, None

    @property
    def served(self) -> bool:
        """Whether this process has served with any configuration."""
        return self._served

    def late(self, now: float) -> bool:
        """Whether it should serve with what was applied by now, and does not."""
        if self._settled or not self.alive:
            self._waiting_since = None
            return False
        if self._admin.rejects():
            return self.hear() or True  # what it says of it are `last_words`
        if self._waiting_since is None:
            self._waiting_since = now
        return now - self._waiting_since > START_TIMEOUT

    def hear(self) -> bool:
        """Log what Envoy has said since; False if it has ended."""
        try:
            said = os.read(self.fileno(), 65536)
        except BlockingIOError:
            return True
        *lines, self._rest = (self._rest + said).split(b"\n")
        for line in lines:
            self._note(line.decode(errors="replace"))
        return bool(said)

    def _note(self, line: str) -> None:
        level, _, text = line.partition(" ")
        if level in _LEVELS and "ENVOY_SIGTERM" not in text:  # which is our own word
            self.last_words = text
            log.log(_LEVELS[level], "%s", text)

    def bury(self, now: float) -> tuple[str, float]:
        """Collect it once it has ended; returns how it did, and the pause in seconds before it is started again."""
        assert self._process is not None
        assert self._process.stderr is not None
        self._process.stderr.close()
        code = self._process.wait()
        self._process = None
        failures = 0 if now - self._started > HEALTHY_AFTER else self._failures
        pause = BACK_OFF[min(failures, len(BACK_OFF) - 1)]
        self._failures, self._settled = failures + 1, False
        self.due = now + pause
        return (f"signal {-code}" if code < 0 else f"status {code}"), pause

    def stats(self, pattern: str) -> dict[str, str]:
        """Return Envoy's own numbers whose names match."""
        return self._admin.stats(pattern)

    # -- the end ---------------------------------------------------------------------------------------------------

    def drain(self) -> None:
        """Accept no more; connections close behind the answers under way."""
        if self.alive:
            self._admin.post("/healthcheck/fail")
            self._admin.post("/drain_listeners")

    def idle(self) -> bool:
        """Whether no request is under way but WebSockets, which the workers end."""
        return not self.alive or self._admin.requests_under_way() <= 0

    def send(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)

    def kill(self) -> None:
        """End it at once, and wait for that."""
        if self._process is not None:
            self._process.kill()
            self.bury(0.0)

    def close(self) -> None:
        """Leave nothing behind."""
        self._nobody.close()
        os.close(self._pipe)
        shutil.rmtree(self.folder, ignore_errors=True)


def _make_pipe(folder: Path) -> int:
    """The pipe for Envoy's access log; returns a descriptor that keeps it open while no worker reads it."""
    os.mkfifo(folder / PIPE, 0o600)
    return os.open(folder / PIPE, os.O_RDWR | os.O_NONBLOCK)


def _version(program: str) -> str:
    """Return Envoy's version, such as "1.40.0". Raises EngineError if it is too old, or no Envoy."""
    try:
        said = subprocess.run(  # noqa: S603 - its own program, no shell
            [program, "--version"], capture_output=True, text=True, timeout=60, check=False
        ).stdout
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EngineError(f"{program} does not run ({error}): {MEND}") from error
    found = re.search(r"/(\d+)\.(\d+)\.(\d+)", said)
    if found is None:
        raise EngineError(f"{program} does not tell its version, so it is no Envoy that we know: {MEND}")
    version = ".".join(found.groups())
    if tuple(map(int, found.groups()[:2])) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise EngineError(
            f"{program} is Envoy {version}, but {oldest} is the oldest that can be used: {MEND}"
        )
    return version


def _die_with_parent() -> None:
    """Linux: an Envoy without its supervisor would keep the address, and nobody would look after it."""
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    except (OSError, AttributeError):
        return


def _write(file: Path, content: str) -> None:
    """Envoy sees a file change when another one takes its name."""
    new = file.with_suffix(".new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(content)
    new.replace(file)
