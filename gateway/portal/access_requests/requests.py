"""Asking for a group for a while, and deciding about that. Groups are lent, never written to the directory.

Nobody decides their own request, and approvers must be members of the groups that the configuration names *now*.
"""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gateway.clock import Clock
from gateway.config.schema import AccessRequest
from gateway.directory.base import Directory
from gateway.errors import RequestRefused
from gateway.i18n.text import N_, Text
from gateway.messaging.notices import Notices
from gateway.model import Principal
from gateway.observability.audit import Audit
from gateway.rate_limits import ACCESS_REQUESTS_PER_USER, RateLimits
from gateway.stores.protocols.core import AccessAsked, AccessRequests

OPEN_FOR = 7 * 86400.0
"""Seconds after which a request that nobody decided is over."""
MOST_TOLD = 200
"""Approvers who get a mail; a group with more of them is hardly meant as one."""
CHOICES = (3600.0, 4 * 3600.0, 8 * 3600.0, 24 * 3600.0, 7 * 86400.0)
"""Times in seconds that approvers choose from, up to the longest that is allowed."""


class NotForYou(RequestRefused):
    """Somebody wants to decide who may not."""

    status = 403
    public = N_("You can’t decide about this request.")


@dataclass(frozen=True, slots=True)
class Pending:
    """A request or running grant, with the times that may be chosen for it."""

    asked: AccessAsked
    choices: tuple[float, ...]


class AccessDesk:
    """Takes requests for groups, and decisions about them. `page_url` is where approvers decide."""

    def __init__(
        self,
        offered: Sequence[AccessRequest],
        store: AccessRequests,
        directory: Directory,
        limits: RateLimits,
        audit: Audit,
        notices: Notices,
        clock: Clock,
        *,
        page_url: str,
        token: Callable[[], str] = lambda: secrets.token_hex(12),
    ) -> None:
        self.offered = {one.group: one for one in offered}
        self._store, self._directory, self._limits = store, directory, limits
        self._audit, self._notices, self._clock = audit, notices, clock
        self._page_url, self._token = page_url, token

    async def ask(self, principal: Principal, ip: str, group: str, page: str, why: str) -> bool:
        """False if the same request is open already. Raises TooManyAttempts."""
        await self._limits.spend(ACCESS_REQUESTS_PER_USER, principal.username)
        now = self._clock()
        asked = AccessAsked(
            id=self._token(),
            username=principal.username,
            group=group,
            page=page[:500],
            why=one_line(why)[:500],
            state="asked",
            asked_at=now,
            expires_at=now + OPEN_FOR,
        )
        if not await self._store.add(asked):
            return False
        where = page.partition("?")[0][:200]  # a query may hold secrets, and logs go far
        self._audit.record("access_requested", principal.username, ip, group=group, page=where, why=asked.why)
        self._notices.later(lambda: self._tell_approvers(asked))
        return True

    async def pending(self, principal: Principal) -> Sequence[Pending]:
        """What this principal may decide, newest first; their own requests are not among it."""
        groups = [group for group, one in self.offered.items() if self._may_decide(principal, one)]
        found = await self._store.list(self._clock(), groups=groups) if groups else []
        return [Pending(one, self._choices(one.group)) for one in found if one.username != principal.username]

    async def decide(
        self, principal: Principal, ip: str, id: str, what: str, seconds: float
    ) -> AccessAsked | None:
        """Decide about a request. `what` is "grant", "refuse" or "end". None if somebody else was faster. Raises
        NotForYou.
        """
        asked = await self._store.get(id)
        offered = self.offered.get(asked.group) if asked else None
        if asked is None or offered is None or not self._may_decide(principal, offered):
            raise NotForYou("no such request for this approver")
        if asked.username == principal.username:
            raise NotForYou("an approver can't decide about the own request")
        if not await self._settle(asked, what, seconds, principal.username):
            return None
        self._audit.record(
            f"access_{PAST[what]}",
            asked.username,
            ip,
            group=asked.group,
            by=principal.username,
            request=asked.id,
        )
        self._notices.later(lambda: self._tell_asker(asked, what))
        return asked

    async def _settle(self, asked: AccessAsked, what: str, seconds: float, by: str) -> bool:
        now = self._clock()
        if what == "grant":
            until = now + min(max(60.0, seconds), self.offered[asked.group].longest)
            return await self._store.decide(asked.id, "asked", "granted", by, now, until)
        before, after = ("asked", "refused") if what == "refuse" else ("granted", "ended")
        return await self._store.decide(asked.id, before, after, by, now, now)

    def _may_decide(self, principal: Principal, offered: AccessRequest) -> bool:
        """Groups that were lent do not make an approver: a grant must not lead to the next one."""
        return not set(offered.approvers).isdisjoint(principal.user.groups)

    def _choices(self, group: str) -> tuple[float, ...]:
        longest = self.offered[group].longest
        return (*(one for one in CHOICES if one < longest), longest)

    async def _tell_approvers(self, asked: AccessAsked) -> None:
        approvers = self.offered[asked.group].approvers
        for user in await self._directory.in_groups(approvers, limit=MOST_TOLD):
            if user.username != asked.username:
                self._notices.mail(
                    user.username,
                    user.email,
                    N_("%(brand)s: access requested", brand=self._notices.brand),
                    _question(asked, self._page_url),
                    about="access_requested",
                )

    async def _tell_asker(self, asked: AccessAsked, what: str) -> None:
        user = await self._directory.get(asked.username)
        if user is not None:
            subject, text = _answer(self._notices.brand, asked, what)
            self._notices.mail(user.username, user.email, subject, text, about=f"access_{PAST[what]}")


PAST = {"grant": "granted", "refuse": "refused", "end": "ended"}


def _question(asked: AccessAsked, url: str) -> Text:
    return N_(
        "%(user)s asks for access (group %(group)s):\n\nPage: %(page)s\nWhy: %(why)s\n\nDecide here: %(link)s\n",
        user=asked.username,
        group=asked.group,
        page=asked.page,
        why=asked.why or "-",
        link=url,
    )


def _answer(brand: str, asked: AccessAsked, what: str) -> tuple[Text, Text]:
    """Subject and text of the mail."""
    of = {"group": asked.group, "page": asked.page}
    if what == "grant":
        return N_("%(brand)s: access granted", brand=brand), N_(
            "Your access through the group %(group)s was granted.\n\nPage: %(page)s\n", **of
        )
    if what == "refuse":
        return N_("%(brand)s: access refused", brand=brand), N_(
            "Your access through the group %(group)s was refused.\n\nPage: %(page)s\n", **of
        )
    return N_("%(brand)s: access ended", brand=brand), N_(
        "Your access through the group %(group)s has ended.\n\nPage: %(page)s\n", **of
    )


def one_line(text: str) -> str:
    """What somebody typed, without what could forge lines of a mail or a terminal."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
