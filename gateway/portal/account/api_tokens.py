"""API tokens that users make for themselves, without HTTP: what they may be for, making, ending.

A token acts as its user on routes that accept tokens, so policy judges each request; what is offered here is only what
policy could say yes to.
"""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from gateway.authn.api_credentials import token_digest
from gateway.authn.login_origin import LoginOrigin
from gateway.authn.shown_credentials import PREFIX
from gateway.clock import Clock
from gateway.config.schema import Route
from gateway.config.sections.user_tokens import UserTokens
from gateway.errors import GatewayError
from gateway.i18n.text import N_
from gateway.model import Principal, SessionRecord, Target, User, Verdict
from gateway.policy.criteria import CRITERIA, OF_SUBJECT, PolicyQuestion
from gateway.policy.decide import judge
from gateway.portal.account.change_notices import AccountNews
from gateway.portal.account.enrolment import FactorEnrolment
from gateway.stores.protocols.tokens import ApiToken, OwnTokens

DAYS = (7, 30, 90)
LONGEST_TITLE = 60
READING = ("GET", "HEAD")
_NOBODY = ip_address("::")


class NotMade(GatewayError):
    """What was asked for can't be had."""

    status = 422
    public = N_("Choose a name, at least one app and one of the times.")


class TooManyTokens(NotMade):
    """The user has as many tokens as `user_tokens.per_user` allows."""

    public = N_("You have as many tokens as you may have. End one that you no longer use.")


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """The form as it came."""

    title: str
    routes: tuple[str, ...]
    days: str
    reading_only: bool


class OwnTokenDesk:
    """Makes and ends the tokens of users. `key` is the newest hash key for tokens."""

    def __init__(
        self,
        config: UserTokens,
        routes: Sequence[Route],
        store: OwnTokens,
        enrolment: FactorEnrolment,
        news: AccountNews,
        key: Callable[[], bytes],
        clock: Clock,
        *,
        random_id: Callable[[], str] = lambda: secrets.token_hex(8),
        random_secret: Callable[[], str] = lambda: secrets.token_urlsafe(32),
    ) -> None:
        self._config, self._routes, self._store = config, routes, store
        self._enrolment, self._news, self._key, self._clock = enrolment, news, key, clock
        self._id, self._secret = random_id, random_secret

    def offered(self, user: User) -> list[str]:
        """Labels of the routes that a token of this user could open."""
        return [route.label for route in self._routes if could_open(route, user, self._clock())]

    @property
    def choices(self) -> list[int]:
        """Days."""
        longest = int(self._config.longest // 86400)
        return [days for days in DAYS if days <= longest] or [longest]

    async def list(self, user: User) -> Sequence[ApiToken]:
        now = self._clock()
        return [one for one in await self._store.owned(user.username) if now < one.expires_at]

    async def make(self, client: LoginOrigin, user: User, wish: TokenRequest) -> str:
        """Make a token and return it, to be shown once. Raises NotMade, TooManyTokens and TooManyAttempts."""
        title = " ".join(wish.title.split())
        known = wish.days in map(str, self.choices) and set(wish.routes) <= set(self.offered(user))
        if not (title.isprintable() and 0 < len(title) <= LONGEST_TITLE and wish.routes and known):
            raise NotMade(f"{user.username} asked for a token that can't be had")
        async with self._enrolment.turn(user.username):  # two at once would both find the last place free
            if len(await self.list(user)) >= self._config.per_user:
                raise TooManyTokens(f"{user.username} has {self._config.per_user} tokens")
            id, secret, now = self._id(), self._secret(), self._clock()
            await self._store.add(
                ApiToken(
                    id=id,
                    name=id,
                    digest=token_digest(self._key(), secret),
                    groups=(),
                    routes=wish.routes,
                    methods=READING if wish.reading_only else (),
                    created_at=now,
                    expires_at=now + int(wish.days) * 86400.0,
                    owner=user.username,
                    title=title,
                )
            )
        sentence = N_("An access token was made: %(name)s.", name=title)
        self._news.tell(user, client, "token_added", sentence, token=id, routes=list(wish.routes))
        return f"{PREFIX}{id}_{secret}"

    async def revoke(self, client: LoginOrigin, user: User, id: str) -> bool:
        """False if this user has no such token (any more)."""
        mine = {one.id: one for one in await self._store.owned(user.username)}
        if id not in mine or not await self._store.revoke_owned(user.username, self._clock(), id):
            return False
        sentence = N_("An access token was ended: %(name)s.", name=mine[id].title)
        self._news.tell(user, client, "token_revoked", sentence, token=id)
        return True


def could_open(route: Route, user: User, now: float) -> bool:
    """Whether some request of a token of this user would pass: what depends on the request is left open."""
    if not route.tokens:
        return False
    record = SessionRecord(
        sid="",
        username=user.username,
        amr=("token",),
        proven_at={"token": now},
        created_at=now,
        last_seen=now,
        expires_at=now,
    )
    target = Target(
        scheme="https", host=route.host, port=None, method="GET", path=route.path, query="", client=_NOBODY
    )
    question = PolicyQuestion(target=target, principal=Principal(user, record), now=now, query={})
    certain = [one for one in CRITERIA if one in OF_SUBJECT or (one.key == "hosts" and "*" not in route.host)]
    for rule, asked in route.asked:
        if any(one.key in asked and not one.holds(rule, question) for one in certain):
            continue
        if judge(rule, question).verdict is Verdict.ALLOW:
            return True
        if not any(one.key in asked for one in CRITERIA if one not in certain):
            return False  # this rule decides whatever comes so far
    return False
