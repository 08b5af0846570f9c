"""The second factors of one's own account, without HTTP: look, name, prefer, remove (security rule 10).

To look, a session needs what a two-factor route asks for; to change anything, a second factor proven just now. An
account that has one is never left without by its owner.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

from gateway.authn.factors.base import given_name
from gateway.authn.factors.build import Factors
from gateway.authn.factors.phone_lines import SECOND_PHONE
from gateway.authn.factors.removal import OWNED, forget_numbers
from gateway.authn.factors.webauthn import backup_note
from gateway.authn.login_origin import LoginOrigin
from gateway.config.schema import Policy
from gateway.directory.base import Directory, WritableDirectory, existing
from gateway.i18n.catalogues import language
from gateway.i18n.text import N_
from gateway.messaging.addresses import mask_email, mask_phone
from gateway.model import Principal, User
from gateway.policy.decide import has_factors, proven_recently
from gateway.portal.account.change_notices import AccountNews
from gateway.portal.account.enrolment import FactorEnrolment
from gateway.portal.rendering.texts import FACTOR_LABELS
from gateway.session import Sessions

SYNC = {
    "synced": N_("synced to your other devices"),
    "eligible": N_("can be synced, is on one device so far"),
    "device": N_("on one device or key alone"),
}


class AccountRights(IntEnum):
    """What a session may do on the account pages: nothing yet, look at the factors, or change them, too."""

    NONE = 0
    LOOK = 1
    CHANGE = 2


@dataclass(frozen=True, slots=True)
class Item:
    """One second factor as its owner sees it. `id` is the credential's, or the kind where there is just one."""

    id: str
    kind: str
    name: str
    detail: str = ""
    created_at: float = 0.0
    last_used_at: float = 0.0
    named: bool = False
    removable: bool = False
    sync: str = ""
    """Of a key: whether its maker keeps a copy on the user's other devices."""
    cooling: bool = False
    """A second number that gets no codes yet."""


class AccountFactors:
    """The factors of whoever is signed in. `writable` is None where users are kept elsewhere."""

    def __init__(
        self,
        factors: Factors,
        enrolment: FactorEnrolment,
        sessions: Sessions,
        directory: Directory,
        writable: WritableDirectory | None,
        news: AccountNews,
    ) -> None:
        self._factors, self._enrolment, self._sessions = factors, enrolment, sessions
        self._directory, self._writable, self._news = directory, writable, news

    async def access(self, principal: Principal) -> AccountRights:
        """Decide what this session may do on the account page."""
        session = principal.session
        if proven_recently(session, self._sessions.now()):
            return AccountRights.CHANGE
        if session.step_up:
            return AccountRights.NONE
        if has_factors(Policy(), session.amr):
            return AccountRights.LOOK
        # Nothing more can be asked of who has no second factor at all.
        return AccountRights.NONE if await self._enrolment.has_any(principal.user) else AccountRights.CHANGE

    async def user(self, principal: Principal) -> User:
        """As the directory has it now: the session's copy may be a moment old. Raises UserUnknown."""
        return await existing(self._directory, principal.username)

    async def items(self, user: User) -> Sequence[Item]:
        """All second factors but the recovery codes, in the order in which they are offered."""
        found: list[Item] = []
        for name, factor in self._factors.second.items():
            if name in OWNED:
                found += await self._owned(user, name)
            elif name in ("sms", "email") and await factor.enrolled(user):
                detail = mask_phone(user.phone) if name == "sms" else mask_email(user.email)
                if name == "email" or user.phone:
                    found.append(Item(id=name, kind=name, name=FACTOR_LABELS[name], detail=detail))
                found += await self._second_phone(user) if name == "sms" else []
        return [replace(item, removable=self._removable(item, found)) for item in found]

    async def _owned(self, user: User, kind: str) -> list[Item]:
        return [
            Item(
                id=one.id,
                kind=kind,
                name=one.name,
                detail=FACTOR_LABELS[kind],
                sync=SYNC.get(await self._factors.preferences.noted(user.username, backup_note(one.id)), "")
                if kind == "webauthn"
                else "",
                created_at=one.created_at,
                last_used_at=one.last_used_at,
                named=True,
            )
            for one in await self._factors.credentials.list(user.username, kind)
        ]

    async def _second_phone(self, user: User) -> list[Item]:
        return [
            Item(
                id=one.id,
                kind=SECOND_PHONE,
                name=FACTOR_LABELS[SECOND_PHONE],
                detail=one.name,
                created_at=one.created_at,
                cooling=self._factors.phones.cooling(one),
            )
            for one in await self._factors.credentials.list(user.username, SECOND_PHONE)
        ]

    def _removable(self, item: Item, items: Sequence[Item]) -> bool:
        """The last one stays. The mail address is more than a factor: it can be changed, not removed."""
        if item.kind == SECOND_PHONE:
            return any(one.kind != SECOND_PHONE for one in items)
        kept_here = item.kind in OWNED or (item.kind == "sms" and self._writable is not None)
        return kept_here and sum(one.kind != SECOND_PHONE for one in items) > 1

    async def preferred(self, user: User) -> str:
        return await self._factors.preferences.chosen(user.username)

    async def recovery_left(self, user: User) -> int:
        return await self._factors.recovery.left(user)

    @property
    def addable(self) -> Sequence[str]:
        return list(self._factors.enrols)

    def second_phone_addable(self, user: User) -> bool:
        return self._enrolment.can_add(user, SECOND_PHONE, frozenset())

    # -- changes: only with AccountRights.CHANGE -----------------------------------------------------------------------

    async def rename(self, client: LoginOrigin, principal: Principal, id: str, name: str) -> bool:
        """Name a factor of one's own; False if there is none of this id."""
        if not any(item.named and item.id == id for item in await self.items(await self.user(principal))):
            return False
        return await self._factors.credentials.rename(
            principal.username, id, given_name({"name": name}, language(client.lang).text(N_("Unnamed")))
        )

    async def prefer(self, principal: Principal, kind: str) -> bool:
        """Ask for this kind first from now on."""
        if kind == SECOND_PHONE or all(
            item.kind != kind for item in await self.items(await self.user(principal))
        ):
            return False
        await self._factors.preferences.choose(principal.username, kind)
        return True

    async def remove(self, client: LoginOrigin, principal: Principal, id: str) -> bool:
        """False if there is no such factor (any more), or it is the last. Raises TooManyAttempts."""
        # One change at a time: of two factors removed in parallel, the second would be the last.
        async with self._enrolment.turn(principal.username):
            user = await self.user(principal)
            item = next((one for one in await self.items(user) if one.id == id and one.removable), None)
            if item is None or not await self._take_away(user, item):
                return False
        sentence = N_("A second factor was removed: %(factor)s.", factor=FACTOR_LABELS[item.kind])
        self._news.tell(user, client, "factor_removed", sentence, factor=item.kind)
        return True

    async def _take_away(self, user: User, item: Item) -> bool:
        if item.kind in (*OWNED, SECOND_PHONE):
            await self._factors.preferences.forget(user.username, backup_note(item.id))
            return await self._factors.credentials.remove(user.username, item.id)
        assert self._writable is not None
        await forget_numbers(self._factors.credentials, self._writable, user)
        return True

    async def renew_recovery(self, client: LoginOrigin, principal: Principal) -> Sequence[str]:
        """New codes to show once; the old ones are void. Raises TooManyAttempts."""
        async with self._enrolment.turn(principal.username):
            user = await self.user(principal)
            codes = await self._factors.recovery.renew(user)
        sentence = N_("New recovery codes were made. The old ones are void.")
        self._news.tell(user, client, "recovery_renewed", sentence)
        return codes
