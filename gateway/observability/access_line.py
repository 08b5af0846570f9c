"""One line of the access log. What many requests have in common is escaped once and kept: a `LineStem`.

The line is byte for byte what the formatters of `log` make of the same fields; a test compares them.
"""

from collections.abc import Mapping
from json.encoder import encode_basestring as _quoted

from gateway.model import Decision, Principal, Target

_LONGEST_AGENT = 256
_STEMS = 16
_MARGIN = 0.001
"""Seconds before an age that was rounded could be another one: from then on it is worked out anew."""


class FactorAges:
    """How many seconds ago a caller has proven what: the same words for half a second or more."""

    __slots__ = ("_factors", "_json", "_proven", "_since", "_until")

    def __init__(self, principal: Principal) -> None:
        proven = principal.session.proven_at
        self._factors, self._proven = principal.amr, proven
        self._json, self._since, self._until = "{}", 0.0, 0.0

    def at(self, now: float) -> dict[str, int]:
        """Return factor -> age in whole seconds at `now` (Unix time)."""
        proven = self._proven
        return {factor: max(0, round(now - proven.get(factor, now))) for factor in self._factors}

    def json(self, now: float) -> str:
        """The same as JSON."""
        if not self._since <= now < self._until:
            ages = [now - self._proven.get(factor, now) for factor in self._factors]
            soonest = min((round(age) + 0.5 - age for age in ages), default=1.0)
            self._json = json_numbers(self.at(now))
            self._since, self._until = now, now + soonest - _MARGIN
        return self._json


class LineStem:
    """What the lines of like requests have in common.

    Args:
        client: its address.
        ages: of what the caller has proven; None for nobody, or where `factors` has them already.
    """

    __slots__ = (
        "_after_factors",
        "_after_host",
        "_after_ms",
        "_after_sent",
        "_ages",
        "_before_method",
        "_factors",
        "agent",
        "client",
        "host",
        "reason",
        "route",
        "rule",
        "upstream",
        "user",
        "verdict",
    )

    def __init__(
        self,
        *,
        client: str | None,
        host: str,
        route: str,
        user: str,
        verdict: str,
        reason: str,
        rule: str,
        upstream: str,
        agent: str,
        ages: FactorAges | None = None,
        factors: Mapping[str, int] | None = None,
    ) -> None:
        self.client, self.host, self.route, self.user = client, host, route, user
        self.verdict, self.reason, self.rule = verdict, reason, rule
        self.upstream, self.agent = upstream, agent[:_LONGEST_AGENT]
        self._ages, self._factors = ages, dict(factors or {})
        self._before_method = f', "client": {"null" if client is None else _quoted(client)}, "method": '
        self._after_host = f', "host": {_quoted(host)}, "path": '
        self._after_ms = (
            f', "route": {_quoted(route)}, "user": {_quoted(user)}, "verdict": {_quoted(verdict)}, '
            f'"reason": {_quoted(reason)}, "rule": {_quoted(rule)}, "factors": '
        )
        if ages is None:
            self._after_ms += json_numbers(self._factors)
        self._after_factors = f', "upstream": {_quoted(upstream)}, "bytes": '
        self._after_sent = f', "agent": {_quoted(self.agent)}}}'

    def factors(self, now: float) -> dict[str, int]:
        """What the caller had proven, and how many seconds ago, at `now` (Unix time)."""
        return self._factors if self._ages is None else self._ages.at(now)

    def json(
        self, start: str, name: str, method: str, path: str, status: int, ms: str, sent: int, now: float
    ) -> str:
        """Return the line that begins with `start`, which has the moment and the event.

        `name` is the request's id, `ms` a number as JSON writes it, `sent` the bytes of the answer's body, `now` the
        time of the factors' ages (Unix time).
        """
        ages = self._ages
        return (
            f'{start}, "id": {_quoted(name)}{self._before_method}{_quoted(method)}{self._after_host}{_quoted(path)}, '
            f'"status": {status}, "ms": {ms}{self._after_ms}{"" if ages is None else ages.json(now)}'
            f"{self._after_factors}{sent}{self._after_sent}"
        )


class LineStems:
    """The stems of requests with the same headers, caller, route and upstream, by what policy said of them."""

    __slots__ = ("_agent", "_known", "_principal", "_target", "_upstream", "route")

    def __init__(
        self, target: Target, principal: Principal | None, route: str, upstream: str, agent: str
    ) -> None:
        """Of `target`, client and host count; `route` is its label, `upstream` the URL."""
        self._target, self._principal = target, principal
        self.route, self._upstream, self._agent = route, upstream, agent
        self._known: dict[tuple[str, str], LineStem] = {}

    def of(self, decision: Decision, reason: str = "") -> LineStem:
        """Return the stem of requests of which policy said this. `reason` is what else befell one of them."""
        slot = (decision.rule, reason or decision.reason)
        known = self._known.get(slot)
        if known is None:
            known = self._make(decision, slot[1])
            if not reason:
                if len(self._known) >= _STEMS:
                    self._known.clear()
                self._known[slot] = known
        return known

    def _make(self, decision: Decision, reason: str) -> LineStem:
        target, principal = self._target, self._principal
        return LineStem(
            client=str(target.client),
            host=target.host,
            route=self.route,
            user=principal.username if principal else "",
            verdict=decision.verdict.value,
            reason=reason,
            rule=decision.rule,
            upstream=self._upstream,
            agent=self._agent,
            ages=FactorAges(principal) if principal else None,
        )


def json_numbers(numbers: Mapping[str, int]) -> str:
    """An object of whole numbers as JSON."""
    return f"{{{', '.join([f'{_quoted(name)}: {number}' for name, number in numbers.items()])}}}"


def milliseconds(seconds: float) -> str:
    """Seconds as milliseconds with two decimals, as JSON writes `round(seconds * 1000, 2)`."""
    text = f"{seconds * 1000:.2f}"
    return text[:-1] if text[-1] == "0" else text
