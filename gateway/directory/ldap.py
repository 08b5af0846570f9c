"""Users in LDAP or Active Directory: a service account finds the entry, a bind with the password proves it.

ldap3 works in threads of its own, so the event loop never waits. No password is ever sent empty (RFC 4513 §5.1.2:
servers call that an "unauthenticated bind" and say yes), and an unknown user costs a bind as well.
"""

import asyncio
import builtins
import itertools
import logging
import queue
import ssl
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from ldap3 import NONE, SAFE_SYNC, SUBTREE, Connection, Server, Tls
from ldap3.core.exceptions import LDAPException, LDAPOperationResult
from ldap3.utils.conv import escape_filter_chars

from gateway.config.names import user_name
from gateway.config.schema import DirectoryLdap
from gateway.directory import identifiers
from gateway.directory.base import Census
from gateway.directory.ldap_entries import ALWAYS, LdapEntry, is_disabled, user_of
from gateway.errors import StoreUnavailable
from gateway.model import User
from gateway.stores.redis.circuit_breaker import Circuit
from gateway.stores.sql.folding import folded

log = logging.getLogger("gateway.directory")
T = TypeVar("T")

_INVALID_CREDENTIALS = 49
_MOST_RESULTS = 1000
_LONGEST_NAME = 256
_MOST_TOLD = 10_000


class LdapDirectory:
    """The directory that asks an LDAP server. It writes nothing there."""

    def __init__(self, settings: DirectoryLdap, *, country: str = "") -> None:
        """`country` is that of numbers without country code (`sms.default_country`)."""
        self._settings, self._country = settings, country
        self._told: set[str] = set()
        self._threads = ThreadPoolExecutor(settings.connections, thread_name_prefix="ldap")
        self._idle: queue.SimpleQueue[Connection] = queue.SimpleQueue()
        self._circuit = Circuit("the LDAP server", time.monotonic)
        tls = Tls(
            validate=ssl.CERT_REQUIRED,
            ca_certs_file=str(settings.ca_file) if settings.ca_file else None,
        )
        self._servers = [
            Server(url, tls=tls, get_info=NONE, connect_timeout=settings.timeout) for url in settings.urls
        ]

    async def get(self, username: str) -> User | None:
        return await self._run(lambda: self._find_user(username))

    async def counted_as(self, name: str) -> str:
        """Servers know more spellings than we: Active Directory leaves accents out, a filter may ask for addresses."""
        found = await self._run(lambda: self._find(name))
        return user_name(found.text(self._settings.attributes.username)) if found else folded(name)

    async def authenticate(self, username: str, password: str) -> User | None:
        if not password or "\0" in password:
            return None
        return await self._run(lambda: self._authenticate(username, password))

    async def list(self, search: str = "", *, after: str = "", limit: int) -> Sequence[User]:
        return await self._run(lambda: self._list(search.strip(), after, limit))

    async def count(self, search: str = "") -> Census:
        found = await self._run(lambda: self._matching(search.strip()))
        return Census(len(found), sum(map(is_disabled, found)))

    async def with_email(self, address: str, *, limit: int = 20) -> Sequence[User]:
        return await self._run(lambda: self._with_email(address, limit))

    async def in_groups(self, groups: Sequence[str], *, limit: int) -> Sequence[User]:
        everybody = await self.list(limit=_MOST_RESULTS)
        members = (user for user in everybody if not set(groups).isdisjoint(user.groups))
        return builtins.list(itertools.islice((user for user in members if not user.disabled), limit))

    async def ping(self) -> None:
        """Ask whether a server answers. Raises StoreUnavailable."""
        await self._run(lambda: self._search(self._settings.base_dn, "(objectClass=*)", limit=1))

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        while not self._idle.empty():
            self._idle.get_nowait().unbind()

    async def _run(self, work: Callable[[], T]) -> T:
        with self._circuit.call():
            try:
                return await asyncio.get_running_loop().run_in_executor(self._threads, work)
            except (LDAPException, OSError) as error:
                raise StoreUnavailable(f"LDAP: {type(error).__name__}: {error}") from error

    # -- in threads ------------------------------------------------------------------------------------------------

    def _authenticate(self, username: str, password: str) -> User | None:
        entry = self._find(username)
        user = self._user(entry) if entry else None
        # A DN that does not exist takes the same way, so that the time tells nothing about who exists.
        dn = entry.dn if entry and user else f"cn=nobody,{self._settings.base_dn}"
        right = self._bind(dn, password)
        return user if right and user and not user.disabled else None

    def _find_user(self, username: str) -> User | None:
        entry = self._find(username)
        return self._user(entry) if entry else None

    def _find(self, username: str) -> LdapEntry | None:
        name = user_name(username)
        if not 0 < len(name) <= _LONGEST_NAME or not name.isprintable():
            return None
        question = self._settings.user_filter.replace("{username}", escape_filter_chars(name))
        found = self._search(self._settings.base_dn, question, limit=2)
        if len(found) > 1:
            log.error("user_filter finds several entries for one name; nobody is signed in by it")
        return found[0] if len(found) == 1 else None

    def _user(self, entry: LdapEntry) -> User | None:
        user = user_of(entry, self._settings.attributes, self._groups(entry), country=self._country)
        if (
            user
            and user.phone_unreadable
            and user.username not in self._told
            and len(self._told) < _MOST_TOLD
        ):
            self._told.add(user.username)  # once: sessions are read again every minute
            log.warning(
                "LDAP user %s has a phone number that can't be read, so codes can't be sent there: write it with its "
                "country code, or set sms.default_country",
                user.username,
            )
        return user

    def _groups(self, entry: LdapEntry) -> Sequence[str]:
        """DNs of the groups."""
        base = self._settings.group_base_dn
        if base is None:
            return entry.texts(self._settings.attributes.groups)
        name = entry.text(self._settings.attributes.username)
        question = self._settings.group_filter.replace("{dn}", escape_filter_chars(entry.dn))
        question = question.replace("{username}", escape_filter_chars(name))
        return [group.dn for group in self._search(base, question)]

    def _list(self, search: str, after: str, limit: int) -> Sequence[User]:
        named = (
            (user_name(one.text(self._settings.attributes.username)), one) for one in self._matching(search)
        )
        rest = sorted(((name, one) for name, one in named if name > after), key=lambda pair: pair[0])
        users = (self._user(one) for _, one in rest)
        return builtins.list(itertools.islice((user for user in users if user), limit))

    def _with_email(self, address: str, limit: int) -> Sequence[User]:
        key = self._settings.attributes.email
        spellings = identifiers.email_spellings(address) or [address]
        match = "".join(f"({key}={escape_filter_chars(one)})" for one in spellings)
        everyone = self._settings.user_filter.replace("{username}", "*")
        found = self._search(self._settings.base_dn, f"(&{everyone}(|{match}))", limit)
        return [user for one in found if (user := self._user(one))]

    def _matching(self, search: str) -> Sequence[LdapEntry]:
        names = self._settings.attributes
        everyone = self._settings.user_filter.replace("{username}", "*")
        word = f"*{escape_filter_chars(search)}*" if search else "*"
        match = "".join(f"({key}={word})" for key in (names.username, names.name, names.email))
        return self._search(self._settings.base_dn, f"(&{everyone}(|{match}))")

    def _search(self, base: str, question: str, limit: int = _MOST_RESULTS) -> Sequence[LdapEntry]:
        """With a connection at hand if there is one; one that has died meanwhile is replaced once."""
        names = self._settings.attributes
        wanted = [names.username, names.name, names.email, names.phone, names.groups, *ALWAYS]

        def ask(connection: Connection) -> Sequence[LdapEntry]:
            ok, result, response, _ = connection.search(
                base,
                question,
                SUBTREE,
                attributes=wanted,
                size_limit=limit,
                time_limit=max(1, int(self._settings.timeout)),
            )
            # sizeLimitExceeded (4) still brings the first entries; noSuchObject (32) brings none.
            if not ok and result["result"] not in (0, 4, 32):
                raise LDAPOperationResult(result["result"], result["description"], message=result["message"])
            return [
                LdapEntry(one["dn"], one["raw_attributes"])
                for one in response or ()
                if "raw_attributes" in one
            ]

        try:
            connection = self._idle.get_nowait()
        except queue.Empty:
            return self._with(self._connect(), ask)
        try:
            return self._with(connection, ask)
        except (LDAPException, OSError):
            return self._with(self._connect(), ask)

    def _with(self, connection: Connection, ask: Callable[[Connection], T]) -> T:
        answer = ask(connection)  # a connection that failed is not used again
        self._idle.put(connection)
        return answer

    def _connect(self) -> Connection:
        connection = self._open(self._settings.bind_dn, self._settings.bind_password.get_secret_value())
        if connection is None:
            raise StoreUnavailable("LDAP: bind_dn and bind_password are refused")
        return connection

    def _bind(self, dn: str, password: str) -> bool:
        connection = self._open(dn, password)
        if connection is not None:
            connection.unbind()
        return connection is not None

    def _open(self, dn: str, password: str) -> Connection | None:
        """A bound connection to the first server that answers; None if the password is wrong."""
        for server in self._servers[:-1]:
            try:
                return self._open_on(server, dn, password)
            except (LDAPException, OSError) as error:
                log.warning("LDAP server %s: %s", server.host, error)
        return self._open_on(self._servers[-1], dn, password)

    def _open_on(self, server: Server, dn: str, password: str) -> Connection | None:
        connection = Connection(
            server,
            user=dn,
            password=password,
            client_strategy=SAFE_SYNC,
            read_only=True,
            auto_referrals=False,
            receive_timeout=max(1, round(self._settings.timeout)),
            check_names=False,
        )
        connection.open(read_server_info=False)
        if self._settings.starttls and not connection.start_tls(read_server_info=False):
            raise LDAPException("the server refused STARTTLS")
        ok, result, *_ = connection.bind(read_server_info=False)
        if ok:
            return connection
        connection.unbind()
        if result["result"] == _INVALID_CREDENTIALS:
            return None
        if result["result"] in (
            53,
            19,
            50,
        ):  # unwillingToPerform, constraintViolation (locked): a no, not an outage
            return None
        raise LDAPOperationResult(result["result"], result["description"], message=result["message"])
