"""A gateway as it runs for real, for tests that attack it: two workers, a second replica, PostgreSQL, Redis, SMS, mail.

Its clock is the machine's. Every request of an attack has a connection of its own, so the kernel spreads them over the
workers. Each test attacks users of its own; nothing is reset between them.
"""

import asyncio
import copy
import itertools
import json
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.config.schema import PasswordRules
from gateway.directory.database import DatabaseDirectory
from gateway.directory.password_hashing import PasswordHashing
from gateway.model import User
from gateway.stores.sql.engine import open_engine
from gateway.stores.sql.sessions import SqlSessions
from tests.fake_twilio import FakeTwilio
from tests.faults.serving import Machine
from tests.integration.serving import Serving
from tests.mailbox import Mailbox, link_in, running_mailbox
from tests.oidc_rig import SPA, WEB, some_keys
from tests.programmable_provider import CLIENT, SECRET, ProgrammableProvider
from tests.rig import HTML, PASSWORD, Browser, Upstream, echo, running_upstream
from tests.sms_rig import sms_config
from tests.waiting import free_port, until

_numbers = itertools.count(1)
_MANY = ("prefix_hourly", "prefix_daily", "ip_hourly", "ip_daily")
WIKI = "wiki.other.test"
SECTIONS: dict[str, Any] = {
    "passwords": {"argon2_memory": "7MiB", "argon2_passes": 5, "concurrency": 2, "queue": 100},
    "access_requests": [{"group": "editors", "approvers": ["leads"], "longest": "4h"}],
    "user_tokens": {"enabled": True},
    "registration": {"mode": "open", "groups": ["guests"]},
    "oidc": {"clients": [WEB, SPA]},
    "domains": [{"domain": "other.test"}],
    "log": {"access": False},
    "routes": [
        {"host": WIKI, "path": "/", "upstream": "UPSTREAM"},
        {"host": "*", "path": "/one", "upstream": "UPSTREAM", "policy": {"require": "one_factor"}},
        {"host": "*", "path": "/edit", "upstream": "UPSTREAM", "policy": {"groups": ["editors"]}},
        {"host": "*", "path": "/ops", "upstream": "UPSTREAM", "policy": {"groups": ["ops"]}},
        {
            "host": "*",
            "path": "/api",
            "upstream": "UPSTREAM",
            "tokens": True,
            "basic": True,
            "policy": {"require": "one_factor"},
        },
        {"host": "*", "path": "/", "upstream": "UPSTREAM"},
    ],
}


@dataclass(frozen=True)
class Answer:
    """What came back for one request of an attack."""

    status: int
    text: str
    headers: Any

    @property
    def location(self) -> str:
        return str(self.headers.get("Location", ""))


class MachineClock:
    """The machine's, in place of the one that other rigs move by hand."""

    @property
    def now(self) -> float:
        return time.time()

    def __call__(self) -> float:
        return time.time()


@dataclass
class Live:
    """`first` has two workers, `second` is the replica. `provider` is an OpenID provider that the gateway knows."""

    machine: Machine
    first: Serving
    second: Serving
    upstream: Upstream
    twilio: FakeTwilio
    mailbox: Mailbox
    provider: ProgrammableProvider
    directory: DatabaseDirectory
    engine: AsyncEngine
    clock: MachineClock = field(default_factory=MachineClock)

    @property
    def port(self) -> int:
        return self.first.port

    @property
    def host(self) -> str:
        return f"localhost:{self.port}"

    @property
    def url(self) -> str:
        """The public address: a name, since passkeys belong to names."""
        return f"http://{self.host}"

    @property
    def codes(self) -> list[str]:
        return [one.code for one in self.twilio.messages]

    def codes_to(self, user: User) -> list[str]:
        return [one.code for one in self.twilio.messages if one.to == user.phone]

    async def code(self, user: User, after: int = 0) -> str:
        """The newest code once there are more than `after`."""
        await until(lambda: len(self.codes_to(user)) > after, f"a code for {user.username}")
        return self.codes_to(user)[-1]

    async def link(self, user: User) -> str:
        """The link of the newest mail to the user, once there is one."""
        found = await until(lambda: [text for to, text in self.mailbox.mails if to == user.email], "a mail")
        return link_in(found[-1])

    async def person(self, **fields: Any) -> User:
        """A new user; no other test knows them."""
        number = next(_numbers)
        given = {"phone": f"+4915112{number:06d}", "email": f"user{number}@example.test", **fields}
        user = User(f"user{number}", **given)
        await self.directory.add(user, PASSWORD)
        return user

    def browser(self) -> Browser:
        return Browser(self)  # type: ignore[arg-type]

    @asynccontextmanager
    async def signed_in(self, user: User, rd: str = "/") -> AsyncIterator[Browser]:
        async with self.browser() as browser:
            before = len(self.codes_to(user))
            assert (await browser.password(user.username, rd=rd)).status == 303
            token = await browser.token(f"/_auth/verify?rd={rd}")
            form = {"code": await self.code(user, before), "csrf_token": token, "rd": rd}
            assert (await browser.post("/_auth/verify", form)).status == 303
            yield browser

    @asynccontextmanager
    async def half_signed_in(self, user: User) -> AsyncIterator[tuple[str, str]]:
        """The cookies and the csrf token of somebody who has given the password, and no second factor yet."""
        async with self.browser() as browser:
            assert (await browser.password(user.username)).status == 303
            yield cookies_of(browser), await browser.token("/_auth/logout")

    async def ask(
        self,
        path: str,
        form: Any = None,
        *,
        at: str = "",
        method: str = "",
        cookies: str = "",
        **headers: str,
    ) -> Answer:
        """One request on a new connection. `at` is a replica; a header that is "" is left out."""
        sent = {**HTML, "Host": self.host, "Origin": self.url, "Cookie": cookies, **headers}
        sent = {name: value for name, value in sent.items() if value}
        connector = aiohttp.TCPConnector(force_close=True)
        async with (
            aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as client,
            client.request(
                method or ("GET" if form is None else "POST"),
                (at or self.first.url) + path,
                data=form,
                headers=sent,
                allow_redirects=False,
            ) as answer,
        ):
            return Answer(answer.status, await answer.text(errors="replace"), answer.headers)

    async def race(self, times: int, ask: Callable[[str], Awaitable[Answer]]) -> list[Answer]:
        """`ask` so many times at once: two of three meet the two workers, one the other replica."""
        places = itertools.cycle((self.first.url, self.first.url, self.second.url))
        return list(await asyncio.gather(*(ask(place) for place in itertools.islice(places, times))))

    async def revoke(self, user: User) -> None:
        """End the sessions of a user, as a command does in a process of its own."""
        await SqlSessions(self.engine, self.clock).delete_for_user(user.username)

    def logged(self, event: str, user: str = "") -> int:
        """How many audit lines of this event both replicas have written."""
        return sum(event == one and user in ("", whose) for one, whose in self._audited())

    async def until_logged(self, event: str, user: str, count: int = 1) -> None:
        await until(lambda: self.logged(event, user) >= count, f"{count} {event} of {user}")

    def _audited(self) -> Iterator[tuple[str, str]]:
        lines: Sequence[str] = [*self.first.output, *self.second.output]
        for line in lines:
            if '"event":' in line and line.startswith("{"):
                facts = json.loads(line)
                yield facts["event"], facts.get("user", "")


def cookies_of(browser: Browser) -> str:
    return "; ".join(f"{one.key}={one.value}" for one in browser.session.cookie_jar)


def new_session(answer: Answer) -> bool:
    """Whether the answer brings a session's cookie."""
    return any(re.match('auth_session="?gAAAA', one) for one in answer.headers.getall("Set-Cookie", ()))


def hidden(page: str) -> dict[str, str]:
    return dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page))


async def app(request: web.Request) -> web.StreamResponse:
    """Echoes; /ws is a WebSocket that does."""
    if request.path != "/ws":
        return await echo(request)
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    async for message in socket:
        await socket.send_str(str(message.data))
    return socket


@asynccontextmanager
async def live(folder: Path, database: str, redis: str, **more: Any) -> AsyncIterator[Live]:
    """`more` are sections of the configuration beside SECTIONS."""
    (folder / "oidc.keys").write_text(some_keys())
    (folder / "oidc.keys").chmod(0o600)
    async with AsyncExitStack() as stack:
        provider = ProgrammableProvider()
        upstream = await stack.enter_async_context(running_upstream(app))
        provider.url = (await stack.enter_async_context(running_upstream(provider.handle))).url
        twilio = await stack.enter_async_context(FakeTwilio())
        mailbox, email = await stack.enter_async_context(running_mailbox())
        corp = {"kind": "oidc", "name": "corp", "issuer": provider.url}
        values: dict[str, Any] = {
            **copy.deepcopy(SECTIONS),
            "sms": sms_config(twilio, resend_after="1s", budgets=dict.fromkeys(_MANY, 5000)),
            "email": {**email, "second_factor": False},
            "identity_providers": [{**corp, "client_id": CLIENT, "client_secret": SECRET}],
            **more,
        }
        for route in values["routes"]:
            route["upstream"] = upstream.url if route["upstream"] == "UPSTREAM" else route["upstream"]
        stores, port = {"url": database, "state_url": redis}, free_port()
        public = {"public_url": f"http://localhost:{port}", "trusted_proxies": ["127.0.0.0/8"]}
        machines = [
            Machine(folder, stores, name=name, port=where)
            for name, where in (("a", port), ("b", free_port()))
        ]
        for machine, workers in zip(machines, (2, 1), strict=True):
            own = {**public, "workers": workers, "listen": f"127.0.0.1:{machine.port}"}
            machine.sections = {**values, "server": own}
        first = await stack.enter_async_context(machines[0].serving())
        second = await stack.enter_async_context(machines[1].serving())
        engine = open_engine(database)
        passwords = PasswordHashing(PasswordRules(argon2_memory=7 << 20, argon2_passes=5))
        directory = DatabaseDirectory(engine, passwords, time.time)
        try:
            yield Live(machines[0], first, second, upstream, twilio, mailbox, provider, directory, engine)
        finally:
            passwords.close()
            await engine.dispose()
