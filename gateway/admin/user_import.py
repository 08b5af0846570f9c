"""Reads users from CSV for the console: who would be added, who changed, and what is wrong with the other lines."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace

from gateway.admin.actor import Actor
from gateway.admin.difference import difference, version
from gateway.admin.services import AdminServices
from gateway.admin.users import KeptElsewhere, UserChanges
from gateway.config.names import user_name
from gateway.directory import identifiers
from gateway.directory.user_files import BadLine, ImportedUser, read_csv
from gateway.errors import GatewayError, RequestRefused
from gateway.i18n.text import N_
from gateway.model import User

MOST = 500
"""Lines at once; `auth-gateway user import` takes any number."""
TOO_MANY = N_("These are too many lines. Use auth-gateway user import.")
_FACTS = ("name", "email", "phone", "groups", "disabled")


@dataclass(frozen=True, slots=True)
class ImportLine:
    """A line that can be imported. `before` is the user as it is now, None for a new one; `fields` are what changes."""

    line: int
    user: User
    password: str | None
    before: User | None
    fields: Sequence[str]


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """What a text would do. Lines that change nothing are only counted."""

    good: Sequence[ImportLine]
    bad: Sequence[BadLine]
    same: int

    @property
    def added(self) -> Sequence[ImportLine]:
        return [one for one in self.good if one.before is None]

    @property
    def changed(self) -> Sequence[ImportLine]:
        return [one for one in self.good if one.before is not None]


class UserImport:
    """Plans an import and does it, each user with the checks and the audit line of a single act."""

    def __init__(self, admin: AdminServices, people: UserChanges) -> None:
        self._people, self._audit = people, admin.services.audit
        self._users, self._country = admin.services.users, admin.config.sms.default_country

    async def plan(self, text: str) -> ImportPlan:
        """Judge each line. Raises RequestRefused for too many, KeptElsewhere where users can't be changed here."""
        if not self._people.can_change:
            raise KeptElsewhere("users are in another directory")
        lines = list(read_csv(text))
        if len(lines) > MOST:
            raise RequestRefused("too many lines", status=422, public=TOO_MANY)
        header = next(csv.reader(io.StringIO(text)), [])
        columns = {name.strip().lower() for name in header}
        good: list[ImportLine] = []
        bad = [line for line in lines if isinstance(line, BadLine)]
        seen: set[str] = set()
        same = 0
        for entry in lines:
            if isinstance(entry, BadLine):
                continue
            try:
                found = await self._judged(entry, columns, seen)
            except GatewayError as error:
                bad.append(
                    BadLine(entry.line, str(error.public if "public" in vars(error) else error.detail))
                )
            else:
                same += found is None
                good += [found] if found is not None else []
        return ImportPlan(good=good, bad=sorted(bad, key=lambda one: one.line), same=same)

    async def _judged(self, entry: ImportedUser, columns: set[str], seen: set[str]) -> ImportLine | None:
        name = user_name(entry.user.username)
        before = await self._users.directory.get(name)
        if name in seen:
            raise RequestRefused(f"{name} stands in a line above, too")
        seen.add(name)
        if before is None:
            user = identifiers.checked_new(entry.user, country=self._country)
            if entry.password is not None and self._users.writable is not None:
                await self._users.writable.check_password(entry.password, user)
            return ImportLine(line=entry.line, user=user, password=entry.password, before=None, fields=())
        if entry.password is not None or entry.user.password_hash:
            raise RequestRefused(f"there is a user {name} already, whose password no import changes")
        given = {field: getattr(entry.user, field) for field in _FACTS if field in columns}
        told = {**dict(before.attributes), **dict(entry.user.attributes)}
        wanted = replace(before, **given, attributes=tuple(told.items()))
        user = identifiers.checked(wanted, country=self._country)
        changes = list(difference(before, user))
        if not changes:
            return None
        return ImportLine(line=entry.line, user=user, password=None, before=before, fields=changes)

    async def run(self, actor: Actor, plan: ImportPlan) -> tuple[int, Sequence[BadLine]]:
        """Add and change; returns how many, and what went wrong on the way."""
        done, wrong = 0, list[BadLine]()
        for one in plan.good:
            try:
                if one.before is None:
                    await self._people.add(actor, one.user, one.password)
                else:
                    await self._people.change(actor, one.user, version(one.before))
                done += 1
            except GatewayError as error:
                wrong.append(
                    BadLine(one.line, str(error.public if "public" in vars(error) else error.detail))
                )
        self._audit.record("users_imported", "", actor.ip, by=actor.name, count=done, file="console")
        return done, wrong
