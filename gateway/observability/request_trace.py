"""What is learnt of a request on its way: the access log writes it, and a span of `tracing` carries it, too.

Filled in by whoever finds something out; it decides nothing.
"""

from dataclasses import dataclass, field

from gateway.model import Decision, Principal, Target
from gateway.observability.tracing import RequestSpan


@dataclass(slots=True)
class Trace:
    """What the access log says of a request, filled in on its way."""

    request_id: str
    target: Target | None = None
    path: str = ""
    route: str = ""
    user: str = ""
    verdict: str = ""
    reason: str = ""
    rule: str = ""
    agent: str = ""
    upstream: str = ""
    sent: int = 0
    factors: dict[str, int] = field(default_factory=dict)
    """What the caller had proven, and how many seconds ago: with it a request can be decided again (cli/replay)."""

    span: RequestSpan | None = None

    def attributes(self, method: str) -> dict[str, str | int]:
        """For a trace, in the names of OpenTelemetry's semantic conventions where there are such."""
        target = self.target
        return {
            "http.request.method": method,
            "http.route": self.route,
            "url.scheme": target.scheme if target else "",
            "url.path": self.path or (target.path if target else ""),
            "server.address": target.host if target else "",
            "client.address": str(target.client) if target else "",
            "auth_gateway.request_id": self.request_id,
            "auth_gateway.user": self.user,
            "auth_gateway.verdict": self.verdict,
            "auth_gateway.reason": self.reason,
            "auth_gateway.rule": self.rule,
        }

    def decided(self, decision: Decision, principal: Principal | None, now: float) -> None:
        self.verdict, self.reason, self.rule = decision.verdict.value, decision.reason, decision.rule
        self.called_by(principal, now)

    def called_by(self, principal: Principal | None, now: float) -> None:
        if principal is not None:
            self.user = principal.username
            proven = principal.session.proven_at
            self.factors = {factor: max(0, round(now - proven.get(factor, now))) for factor in principal.amr}
