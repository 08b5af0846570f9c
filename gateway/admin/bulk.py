"""Does the same to many users, one after the other, each with the checks and the audit line of a single act."""

import asyncio
import json
import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import sha256

from gateway.admin.actor import Actor
from gateway.admin.difference import version
from gateway.admin.revocation import Accesses
from gateway.admin.safeguards import OWN_ACCOUNT, OWN_FACTORS, OWN_GROUP
from gateway.admin.services import AdminServices
from gateway.admin.users import NOT_HERE, UserChanges
from gateway.errors import GatewayError, RequestRefused, TooManyAttempts
from gateway.i18n.text import N_, Text
from gateway.model import User

MOST = 1000
"""Users in one act, so that its page comes within a few seconds."""
ACTS = ("disable", "enable", "add_group", "remove_group", "end_sessions", "reset_factors")
UNDOES = {
    "disable": "enable",
    "enable": "disable",
    "add_group": "remove_group",
    "remove_group": "add_group",
}
_CHANGES = frozenset(UNDOES)
_UNDO_FOR = 86400.0
_SHOWN = 50
_TRIES, _PAUSE = 40, 0.05
BAD_ACT = N_("Choose what to do, and a group where one is needed.")
ALREADY = N_("Nothing to do.")


@dataclass(frozen=True, slots=True)
class Act:
    """What is to be done: one of ACTS, and the group that it is about."""

    name: str
    group: str = ""

    def checked(self) -> "Act":
        """Return the act. Raises RequestRefused if there is no such act, or its group is missing."""
        if self.name not in ACTS or (self.name.endswith("_group") and not self.group):
            raise RequestRefused("no such act", status=422, public=BAD_ACT)
        return self


@dataclass(frozen=True, slots=True)
class Plan:
    """Who would be changed, and who not and why."""

    act: Act
    users: Sequence[User]
    left_out: Sequence[tuple[str, str | Text]]

    @property
    def seen(self) -> str:
        """What tells this very list of users from another."""
        return sha256(json.dumps([one.username for one in self.users]).encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class BulkReport:
    """What an act has done. `names` are those who were changed; `refused` the first who were not, and why."""

    act: str
    group: str
    names: Sequence[str]
    refused: Sequence[tuple[str, str]]
    undone: bool = False

    @property
    def can_undo(self) -> bool:
        return self.act in UNDOES and bool(self.names) and not self.undone


class BulkActs:
    """Plans and does acts on many users. `actor` is never among those who lose access by them."""

    def __init__(self, admin: AdminServices, people: UserChanges, accesses: Accesses) -> None:
        self._people, self._accesses = people, accesses
        self._audit, self._ledger = admin.services.audit, admin.services.stores.ledger
        self._admins = admin.config.admin.groups

    def plan(self, actor: Actor, act: Act, users: Sequence[User]) -> Plan:
        """Sort users into those whom the act would change and the others. Raises RequestRefused."""
        act.checked()
        reasons = [(one, self._against(actor, act, one)) for one in users]
        return Plan(
            act,
            [one for one, reason in reasons if reason is None],
            [(one.username, reason) for one, reason in reasons if reason is not None],
        )

    def _against(self, actor: Actor, act: Act, user: User) -> Text | None:
        own = user.username == actor.name
        if act.name in _CHANGES and not self._people.can_change:
            return NOT_HERE
        if act.name in _CHANGES and _after(act, user) == user:
            return ALREADY
        if own and act.name == "disable":
            return OWN_ACCOUNT
        if own and act.name == "remove_group" and act.group in self._admins:
            still = set(_after(act, user).groups)
            return OWN_GROUP if still.isdisjoint(self._admins) else None
        return OWN_FACTORS if own and act.name == "reset_factors" else None

    async def run(self, actor: Actor, act: Act, names: Sequence[str]) -> str:
        """Do it to each of `names`; returns the id of its report."""
        changed: list[str] = []
        refused: list[tuple[str, str]] = []
        for name in names:
            try:
                if await self._do(actor, act, name):
                    changed.append(name)
            except GatewayError as error:
                refused.append((name, str(error.public if "public" in vars(error) else error.detail)))
        self._audit.record(
            "bulk_act",
            "",
            actor.ip,
            by=actor.name,
            act=act.name,
            group=act.group,
            count=len(changed),
            refused=len(refused),
        )
        return await self._keep(
            BulkReport(act=act.name, group=act.group, names=changed, refused=refused[:_SHOWN])
        )

    async def _do(self, actor: Actor, act: Act, name: str) -> bool:
        user = await self._people.get(name)
        if act.name == "end_sessions":
            return await self._accesses.end_all(actor, user.username) > 0
        if act.name == "reset_factors":
            return await self._accesses.reset_factors(actor, user) > 0
        for _ in range(_TRIES):
            after = _after(act, user)
            if after == user:
                return False
            try:
                await self._people.change(actor, after, version(user))
            except TooManyAttempts:  # somebody else changes a user at this moment
                await asyncio.sleep(_PAUSE)
                user = await self._people.get(name)
            else:
                return True
        raise TooManyAttempts("other changes are running", retry_after=1)

    async def undo(self, actor: Actor, id: str) -> str:
        """Do the opposite to exactly those whom an act has changed, once; returns the id of the new report.

        Raises RequestRefused where there is nothing to undo.
        """
        report = await self.report(id)
        if not report.can_undo or not await self._ledger.claim_once(f"bulk-undone:{id}", _UNDO_FOR):
            raise RequestRefused("nothing to undo", status=409, public=ALREADY)
        await self._put(id, replace(report, undone=True))
        return await self.run(actor, Act(UNDOES[report.act], report.group), report.names)

    async def report(self, id: str) -> BulkReport:
        """Return what an act has done. Raises RequestRefused (404) if that is a day ago."""
        stored = await self._ledger.get(f"bulk:{id}")
        if stored is None:
            raise RequestRefused("no such report", status=404, public=N_("There is nothing here."))
        facts = json.loads(stored)
        facts["refused"] = [tuple(pair) for pair in facts["refused"]]
        return BulkReport(**facts)

    async def _keep(self, report: BulkReport) -> str:
        id = secrets.token_hex(16)
        await self._put(id, report)
        return id

    async def _put(self, id: str, report: BulkReport) -> None:
        await self._ledger.put(f"bulk:{id}", json.dumps(asdict(report)).encode(), _UNDO_FOR)


def _after(act: Act, user: User) -> User:
    if act.name in ("disable", "enable"):
        return replace(user, disabled=act.name == "disable")
    if act.name == "add_group":
        return replace(user, groups=tuple(dict.fromkeys((*user.groups, act.group))))
    return replace(user, groups=tuple(name for name in user.groups if name != act.group))
