"""Connections to several LDAP servers that hold the same: one that fails rests, and is asked again beside the requests.

All of it runs in threads of its own: ldap3 blocks. Referrals are never followed: a password must not go where only an
answer says (RFC 4511 §4.1.10). With `starttls` nothing is sent before TLS stands.
"""

import logging
import queue
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from ldap3 import NONE, SAFE_SYNC, SUBTREE, Connection, Server, Tls
from ldap3.core.exceptions import LDAPException, LDAPOperationResult

from gateway.clock import Clock
from gateway.config.schema import DirectoryLdap
from gateway.directory.ldap_entries import LdapEntry
from gateway.errors import StoreUnavailable

log = logging.getLogger("gateway.directory")
Answer = tuple[list[LdapEntry], Mapping[str, Any]]

REST = 15.0
"""Seconds for which a server that failed is asked only if all others have failed, too."""
PAGE = 100
"""Entries in one answer (RFC 2696): its reading takes 40 ms, and other threads wait for the interpreter's lock."""
_PAGED = "1.2.840.113556.1.4.319"
_SIZE_LIMIT = 4
_FOUND = (0, _SIZE_LIMIT, 32)
"""sizeLimitExceeded still brings the first entries; noSuchObject (32) brings none."""
_NOT_NOW = (51, 52)
"""busy and unavailable: another server may be better."""
_REFUSED = (49, 53, 19, 50)
"""invalidCredentials, unwillingToPerform, constraintViolation (locked), insufficientAccessRights: a no, no outage."""


class Incomplete(Exception):
    """The server has more, which it does not give to `bind_dn`."""


class LdapServers:
    """Searches and binds at the first of the servers that answers."""

    def __init__(self, settings: DirectoryLdap, clock: Clock = time.monotonic) -> None:
        """`clock` must not jump."""
        self._settings, self._clock = settings, clock
        self._seconds = max(1, round(settings.timeout))
        self._idle: queue.SimpleQueue[BoundConnection] = queue.SimpleQueue()
        self._rests: dict[int, float] = {}
        """Until when, by a server's place in the list."""
        self._lock = threading.Lock()
        self._probes = ThreadPoolExecutor(1, thread_name_prefix="ldap-probe")
        ca_file = str(settings.ca_file) if settings.ca_file else None
        tls = Tls(validate=ssl.CERT_REQUIRED, ca_certs_file=ca_file)
        self._servers = [
            Server(url, tls=tls, get_info=NONE, connect_timeout=settings.timeout) for url in settings.urls
        ]

    def search(
        self, base: str, question: str, attributes: Sequence[str], *, limit: int
    ) -> Sequence[LdapEntry]:
        """Return at most `limit` entries below `base`. Raises LDAPException, OSError and StoreUnavailable."""
        seconds = self._seconds
        held, (entries, _) = self._on_any(
            lambda one: _ask(one, base, question, attributes, size_limit=limit, time_limit=seconds)
        )
        self._idle.put(held)
        return entries

    def pages(self, base: str, question: str, attributes: Sequence[str]) -> Iterator[Sequence[LdapEntry]]:
        """Yield all entries, some hundreds at a time (RFC 2696). Raises as `search` does.

        Raises Incomplete after those that a server gives where it gives only a part of them.
        """

        def page(connection: Connection, cookie: bytes | None = None) -> Answer:
            paged = {"paged_size": PAGE, "paged_cookie": cookie, "time_limit": self._seconds}
            return _ask(connection, base, question, attributes, **paged)

        held, (entries, result) = self._on_any(page)
        try:
            while True:
                yield entries
                if result["result"] == _SIZE_LIMIT:
                    raise Incomplete
                cookie = _cookie(result)
                if not cookie:
                    break
                entries, result = page(held.connection, cookie)
        except BaseException:
            held.unbind()  # also of a reader who has seen enough
            raise
        self._idle.put(held)

    def bind(self, dn: str, password: str) -> bool:
        """Whether the password is right. Raises as `search` does."""
        held = self._open(dn, password)
        if held is not None:
            held.unbind()
        return held is not None

    def close(self) -> None:
        """Close what is not in use."""
        self._probes.shutdown(wait=False, cancel_futures=True)
        while not self._idle.empty():
            self._idle.get_nowait().unbind()

    def _on_any(self, ask: Callable[[Connection], Answer]) -> tuple["BoundConnection", Answer]:
        """Ask with a connection at hand, and else with new ones. One that failed is not used again."""
        held = self._at_hand()
        for left in range(len(self._servers), -1, -1):
            held = held or self._connect()
            try:
                return held, ask(held.connection)
            except (LDAPException, OSError) as error:
                held.unbind()
                if not left or (isinstance(error, LDAPOperationResult) and error.result not in _NOT_NOW):
                    raise
                if not held.used:
                    self._rest(held.number, error)
                held = None
        raise AssertionError("the last one has raised")

    def _at_hand(self) -> "BoundConnection | None":
        """A connection from before, unless a server that is named earlier in `urls` answers again."""
        best = self._in_turn()[0]
        while True:
            try:
                held = self._idle.get_nowait()
            except queue.Empty:
                return None
            if held.number == best:
                return replace(held, used=True)
            held.unbind()

    def _connect(self) -> "BoundConnection":
        held = self._open(self._settings.bind_dn, self._settings.bind_password.get_secret_value())
        if held is None:
            raise StoreUnavailable("LDAP: bind_dn and bind_password are refused")
        return held

    def _open(self, dn: str, password: str) -> "BoundConnection | None":
        """A bound connection to the first server that answers; None if the password is wrong."""
        *others, last = self._in_turn()
        for number in others:
            try:
                return self._open_on(number, dn, password)
            except (LDAPException, OSError) as error:
                self._rest(number, error)
        return self._open_on(last, dn, password)

    def _open_on(self, number: int, dn: str, password: str) -> "BoundConnection | None":
        connection = Connection(
            self._servers[number],
            user=dn,
            password=password,
            client_strategy=SAFE_SYNC,
            read_only=True,
            auto_referrals=False,
            receive_timeout=self._seconds,
            check_names=False,
        )
        held = BoundConnection(number, connection)
        try:
            connection.open(read_server_info=False)
            if self._settings.starttls and not connection.start_tls(read_server_info=False):
                raise LDAPException("the server refused STARTTLS")
            ok, result, *_ = connection.bind(read_server_info=False)
        except BaseException:
            held.unbind()
            raise
        if ok:
            return held
        held.unbind()
        if result["result"] in _REFUSED:
            return None
        raise _failure(result)

    # -- which server ----------------------------------------------------------------------------------------------

    def _in_turn(self) -> list[int]:
        """The servers as they are to be tried: in the order of `urls`, those that rest last."""
        now = self._clock()
        with self._lock:
            over = [number for number, until in self._rests.items() if until <= now]
            for number in over:
                self._rests[number] = now + REST
            everybody = sorted(range(len(self._servers)), key=lambda one: (one in self._rests, one))
        for number in over:
            with suppress(RuntimeError):  # closing
                self._probes.submit(self._probe, number)
        return everybody

    def _rest(self, number: int, error: BaseException) -> None:
        with self._lock:
            told = number in self._rests
            self._rests[number] = self._clock() + REST
        if not told:
            log.warning("LDAP server %s rests: %s", self._servers[number].name, error)

    def _probe(self, number: int) -> None:
        """Whether a server that failed answers again: asked beside the requests, which must not wait for it."""
        try:
            held = self._open_on(
                number, self._settings.bind_dn, self._settings.bind_password.get_secret_value()
            )
        except (LDAPException, OSError):
            return
        if held is not None:
            held.unbind()
        with self._lock:
            self._rests.pop(number, None)
        log.warning("LDAP server %s answers again", self._servers[number].name)


@dataclass(frozen=True, slots=True)
class BoundConnection:
    """A connection to a server; `used` if it was there before the question."""

    number: int
    connection: Connection
    used: bool = False

    def unbind(self) -> None:
        """Close it, whatever state it is in."""
        with suppress(LDAPException, OSError):
            self.connection.unbind()


def _ask(
    connection: Connection, base: str, question: str, attributes: Sequence[str], **how: object
) -> Answer:
    ok, result, response, _ = connection.search(base, question, SUBTREE, attributes=list(attributes), **how)
    if not ok and result["result"] not in _FOUND:
        raise _failure(result)
    # What has no attributes is a reference to another server, which is not followed.
    found = [one for one in response or () if "raw_attributes" in one]
    return [LdapEntry(one["dn"], one["raw_attributes"]) for one in found], result


def _failure(result: Mapping[str, Any]) -> LDAPOperationResult:
    return LDAPOperationResult(result["result"], result["description"], message=result["message"])


def _cookie(result: Mapping[str, Any]) -> bytes:
    """Where the next page begins, empty after the last one and from a server that knows no pages."""
    control = result.get("controls", {}).get(_PAGED, {})
    cookie: bytes = control.get("value", {}).get("cookie") or b""
    return cookie
