"""Users in LDAP or Active Directory: a service account finds the entry, a bind with the password proves it.

ldap3 works in threads of its own, so the event loop never waits. No password is ever sent empty (RFC 4513 §5.1.2:
servers call that an "unauthenticated bind" and say yes), and an unknown user costs a bind as well.
"""

import asyncio
import builtins
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from ldap3.core.exceptions import LDAPException
from ldap3.utils.conv import escape_filter_chars

from gateway.config.names import user_name
from gateway.config.schema import DirectoryLdap
from gateway.directory import identifiers
from gateway.directory.base import Census, Glance
from gateway.directory.ldap_entries import ALWAYS, LdapEntry, user_of
from gateway.directory.ldap_groups import LdapGroups, TooManyGroups
from gateway.directory.ldap_listing import LdapListing, Listed, census_of, names_after
from gateway.directory.ldap_servers import LdapServers
from gateway.errors import StoreUnavailable
from gateway.model import User
from gateway.stores.circuit_breaker import Circuit
from gateway.stores.sql.folding import folded

log = logging.getLogger("gateway.directory")
T = TypeVar("T")

AT_ONCE = 0.3
"""Seconds that a page waits for a list: that of some thousand users is there by then, and of more its beginning."""
_LONGEST_NAME = 256
_MOST_TOLD = 10_000


class LdapDirectory:
    """The directory that asks an LDAP server. It writes nothing there."""

    def __init__(self, settings: DirectoryLdap, *, country: str = "") -> None:
        """`country` is that of numbers without country code (`sms.default_country`)."""
        self._settings, self._country = settings, country
        self._told: set[str] = set()
        self._threads = ThreadPoolExecutor(settings.connections, thread_name_prefix="ldap")
        self._lists = ThreadPoolExecutor(2, thread_name_prefix="ldap-list")
        self._readings: dict[str, asyncio.Future[Listed]] = {}
        self._circuit = Circuit("the LDAP server", time.monotonic)
        self._servers = LdapServers(settings)
        self._groups = LdapGroups(settings, self._servers)
        self._listing = LdapListing(settings, self._servers)
        keys = settings.attributes
        self._wanted = (
            keys.username,
            keys.name,
            keys.email,
            keys.phone,
            keys.groups,
            *keys.more.values(),
            *ALWAYS,
        )

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
        listing = self._listing
        return await self._run(lambda: self._page(listing.listed(search.strip()), after, limit), self._lists)

    async def count(self, search: str = "") -> Census:
        return await self._run(lambda: self._listing.census(search.strip()), self._lists)

    async def glance(self, search: str = "", *, after: str = "", limit: int) -> Glance:
        """Return what is known soon: reading a hundred thousand names takes a minute, and goes on behind."""
        reading = self._reading(search.strip())
        await asyncio.wait([reading], timeout=AT_ONCE)
        listed = reading.result() if reading.done() else self._listing.so_far(search.strip())
        users = await self._run(lambda: self._page(listed, after, limit))
        return Glance(users, census_of(listed))

    def _reading(self, search: str) -> "asyncio.Future[Listed]":
        """The list that is being read; it goes on when who asked has gone."""
        if (reading := self._readings.get(search)) is not None:
            return reading

        def done(reading: asyncio.Future[Listed]) -> None:
            self._readings.pop(search, None)
            if not reading.cancelled() and (error := reading.exception()) is not None:
                log.warning("the list of LDAP users could not be read: %s", error)

        self._readings[search] = reading = asyncio.ensure_future(
            self._run(lambda: self._listing.listed(search), self._lists)
        )
        reading.add_done_callback(done)
        return reading

    async def everyone(self, search: str = "") -> AsyncIterator[Sequence[User]]:
        """Yield all users as the server gives them, each once."""
        pages, seen = self._listing.pages(search.strip(), self._wanted), set[str]()
        thread = ThreadPoolExecutor(1, thread_name_prefix="ldap-export")
        try:
            while (found := await self._run(lambda: self._next(pages), thread)) is not None:
                if fresh := [user for user in found if user.username not in seen]:
                    seen.update(user.username for user in fresh)
                    yield fresh
        finally:
            thread.submit(pages.close)
            thread.shutdown(wait=False)

    async def with_email(self, address: str, *, limit: int = 20) -> Sequence[User]:
        return await self._run(lambda: self._with_email(address, limit))

    async def in_groups(self, groups: Sequence[str], *, limit: int) -> Sequence[User]:
        return await self._run(lambda: self._in_groups(groups, limit))

    async def ping(self) -> None:
        """Ask whether a server answers. Raises StoreUnavailable."""
        await self._run(lambda: self._search("(objectClass=*)", limit=1))

    async def close(self) -> None:
        for threads in (self._threads, self._lists):
            threads.shutdown(wait=False, cancel_futures=True)
        self._servers.close()

    async def _run(self, work: Callable[[], T], threads: ThreadPoolExecutor | None = None) -> T:
        with self._circuit.call():
            try:
                return await asyncio.get_running_loop().run_in_executor(threads or self._threads, work)
            except (LDAPException, OSError) as error:
                raise StoreUnavailable(f"LDAP: {type(error).__name__}: {error}") from error

    # -- in threads ------------------------------------------------------------------------------------------------

    def _authenticate(self, username: str, password: str) -> User | None:
        entry = self._find(username)
        user = self._user(entry) if entry else None
        # A DN that does not exist takes the same way, so that the time tells nothing about who exists.
        dn = entry.dn if entry and user else f"cn=nobody,{self._settings.base_dn}"
        right = self._servers.bind(dn, password)
        return user if right and user and not user.disabled else None

    def _find_user(self, username: str) -> User | None:
        entry = self._find(username)
        return self._user(entry) if entry else None

    def _find(self, username: str) -> LdapEntry | None:
        name = user_name(username)
        if not 0 < len(name) <= _LONGEST_NAME or not name.isprintable():
            return None
        question = self._settings.user_filter.replace("{username}", escape_filter_chars(name))
        found = self._search(question, limit=2)
        if len(found) > 1:
            log.error("user_filter finds several entries for one name; nobody is signed in by it")
        return found[0] if len(found) == 1 else None

    def _user(self, entry: LdapEntry) -> User | None:
        try:
            groups = self._groups.of(entry)
        except TooManyGroups:
            self._tell(
                entry.dn, "LDAP user %s is in more groups than can be read, so is nobody: see group_filter"
            )
            return None
        user = user_of(entry, self._settings.attributes, groups, country=self._country)
        if user and user.phone_unreadable:
            self._tell(
                user.username,
                "LDAP user %s has a phone number that can't be read, so codes can't be sent there: write it with its "
                "country code, or set sms.default_country",
            )
        return user

    def _tell(self, who: str, sentence: str) -> None:
        """Once: sessions are read again every minute."""
        if who not in self._told and len(self._told) < _MOST_TOLD:
            self._told.add(who)
            log.warning(sentence, who)

    def _users(self, entries: Iterable[LdapEntry]) -> Iterable[User]:
        return (user for entry in entries if (user := self._user(entry)))

    def _page(self, listed: Listed, after: str, limit: int) -> Sequence[User]:
        while names := names_after(listed, after, limit):
            found = self._users(self._listing.entries(listed.raw, names, self._wanted))
            if users := sorted(found, key=lambda user: user.username):
                return users
            after = names[-1]  # entries that are no users
        return []

    def _next(self, pages: Iterator[Sequence[LdapEntry]]) -> Sequence[User] | None:
        """The users of the next page; None after the last one."""
        page = next(pages, None)
        return None if page is None else sorted(self._users(page), key=lambda user: user.username)

    def _in_groups(self, groups: Sequence[str], limit: int) -> Sequence[User]:
        wanted = set(groups)
        entries = self._groups.entries_in(groups, self._wanted, limit)
        members = (user for user in self._users(entries) if not wanted.isdisjoint(user.groups))
        found: dict[str, User] = {}
        for user in members:
            if not user.disabled:
                found[user.username] = user
            if len(found) == limit:
                break
        return builtins.list(found.values())

    def _with_email(self, address: str, limit: int) -> Sequence[User]:
        key = self._settings.attributes.email
        spellings = identifiers.email_spellings(address) or [address]
        match = "".join(f"({key}={escape_filter_chars(one)})" for one in spellings)
        everyone = self._settings.user_filter.replace("{username}", "*")
        return builtins.list(self._users(self._search(f"(&{everyone}(|{match}))", limit=limit)))

    def _search(self, question: str, *, limit: int) -> Sequence[LdapEntry]:
        return self._servers.search(self._settings.base_dn, question, self._wanted, limit=limit)
