"""Who could pass before, and who can now: the original's rules and ours, asked about the same requests.

The original is read by code of its own (`Original`), which knows nothing of how its rules were translated, so a
mistake in the translation shows as a difference.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address

from gateway.cli.importers.findings import Access, Original, Sample
from gateway.config.schema import Config
from gateway.errors import RequestRefused
from gateway.model import Principal, SessionRecord, Target, User, Verdict
from gateway.policy.decide import Routes, decide
from gateway.request.target import make_target

STRANGER = "strangers"
_NAMED = 4
_WORDS = {
    Access.ANYTHING: "without signing in",
    Access.ONE_FACTOR: "with one factor",
    Access.TWO_FACTORS: "with two factors",
    Access.NEVER: "no",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One request and the people for whom the answer is the same."""

    sample: Sample
    people: tuple[str, ...]
    before: Access
    now: Access

    @property
    def looser(self) -> bool:
        return self.now < self.before


def compare(original: Original, config: Config, people: Sequence[User]) -> list[Row]:
    """A row for each request of the original's rules and each group of people whom both treat alike."""
    routes = Routes(config.routes)
    known = {person.username for person in people}
    people = [*people, *(one for one in original.named() if one.username not in known)]
    rows = []
    for sample in _once(original.samples(people)):
        answers: dict[tuple[Access, Access], list[str]] = {}
        for person in (None, *people):
            before = original.access(sample, person)
            now = _access(routes, sample, person)
            answers.setdefault((before, now), []).append(person.username if person else STRANGER)
        rows += [
            Row(sample=sample, people=tuple(names), before=before, now=now)
            for (before, now), names in answers.items()
        ]
    return rows


def _once(samples: Sequence[Sample]) -> list[Sample]:
    """Each request once, under the name of the first rule that brings it."""
    return list({replace(sample, rule=""): sample for sample in reversed(samples)}.values())[::-1]


def _access(routes: Routes, sample: Sample, person: User | None) -> Access:
    try:
        target = make_target(
            "https",
            sample.host,
            sample.method,
            sample.path + (f"?{sample.query}" if sample.query else ""),
            ip_address(sample.client),
        )
    except RequestRefused:
        return Access.NEVER
    for access, amr in (
        (Access.ANYTHING, None),
        (Access.ONE_FACTOR, ("password",)),
        (Access.TWO_FACTORS, ("password", "totp")),
    ):
        if access is not Access.ANYTHING and person is None:
            return Access.NEVER
        if _allowed(routes, target, _principal(person, amr) if person and amr else None):
            return access
    return Access.NEVER


def _allowed(routes: Routes, target: Target, principal: Principal | None) -> bool:
    route = routes.find(target)
    return route is not None and decide(route, target, principal, 2.0).verdict is Verdict.ALLOW


def _principal(person: User, amr: tuple[str, ...]) -> Principal:
    record = SessionRecord(
        sid="import",
        username=person.username,
        amr=amr,
        proven_at=dict.fromkeys(amr, 1.0),
        created_at=1.0,
        last_seen=1.0,
        expires_at=9e9,
    )
    return Principal(person, record)


def table(rows: Sequence[Row]) -> Iterator[str]:
    """Lines for the terminal: what stays as it was in one line a request, what changes marked."""
    yield "who could pass before, and who can now:"
    for row in rows:
        asked = f"{row.sample.method} {row.sample.host}{row.sample.path}"
        if row.sample.query:
            asked += f"?{row.sample.query}"
        if row.sample.client != Sample.__dataclass_fields__["client"].default:
            asked += f" from {row.sample.client}"
        change = "LOOSER" if row.looser else "stricter" if row.now > row.before else ""
        answer = _WORDS[row.before] if not change else f"{_WORDS[row.before]} -> {_WORDS[row.now]}"
        yield f"  {row.sample.rule}: {asked}: {_names(row.people)}: {answer}{f'  [{change}]' if change else ''}"
    counts = [sum(row.now > row.before for row in rows), sum(row.looser for row in rows)]
    yield f"{len(rows)} answers compared: {counts[0]} stricter, {counts[1]} looser"


def _names(people: Sequence[str]) -> str:
    named = ", ".join(people[:_NAMED])
    return named if len(people) <= _NAMED else f"{named} and {len(people) - _NAMED} more"
