"""Says what stands between a principal and a page, and which second factors would settle it."""

from collections.abc import Callable, Mapping, Sequence

from gateway.authn.factors.base import Factor
from gateway.authn.factors.preference import Preferences
from gateway.authn.factors.sms_migration import SmsMigrationPlan
from gateway.authn.factors.webauthn import WebAuthnFactor
from gateway.model import Decision, Principal, Target, User, Verdict
from gateway.policy.decide import OWN_FACTORS, Routes, by_mailbox_alone, decide, has_two, proven_recently
from gateway.session import Sessions

Judge = Callable[[Target, Principal | None], Decision | None]
"""What stands between a principal and a destination, None where the destination is none of its business."""
OwnPages = Callable[[Target], bool]
"""Whether a destination is a page of ours that changes the account: those want a recent second factor."""


class MissingProof:
    """The half of `SignIn` that only looks."""

    def __init__(
        self,
        *,
        factors: Mapping[str, Factor],
        sessions: Sessions,
        routes: Routes,
        own: OwnPages,
        meant: Callable[[Target], Target],
        preferences: Preferences,
        sms_plan: SmsMigrationPlan,
    ) -> None:
        self._factors, self._sessions, self._routes = factors, sessions, routes
        self._own, self._meant, self._preferences = own, meant, preferences
        self._sms_plan = sms_plan
        self.judges: list[Judge] = []
        """Asked first: whoever has pages of its own says here what stands before them."""

    def decision(self, destination: Target, principal: Principal | None) -> Decision:
        """Decide what stands between this principal and the destination. Without a route a full sign-in is due."""
        destination = self._meant(destination)
        for judge in self.judges:
            if (found := judge(destination, principal)) is not None:
                return found
        if self._own(destination):
            fresh = principal is not None and proven_recently(principal.session, self._sessions.now())
            verdict = Verdict.ALLOW if fresh else Verdict.SIGN_IN if principal is None else Verdict.STEP_UP
            return Decision(verdict=verdict, rule="portal", reason="recent_proof", factors=OWN_FACTORS)
        route = self._routes.find(destination)
        if route is not None:
            return decide(route, destination, principal, self._sessions.now())
        verdict = Verdict.SIGN_IN if principal is None else Verdict.STEP_UP
        if principal is not None and has_two(principal.amr):
            verdict = Verdict.ALLOW
        return Decision(verdict, "portal", "portal")

    async def usable_factors(self, user: User, decision: Decision, amr: Sequence[str] = ()) -> list[str]:
        """Return the second factors that the user has enrolled and that the decision accepts.

        A session that has two (`amr`) must show who sits there, of which approval from elsewhere says nothing. Behind a
        link to a mailbox a code to the same one proves nothing.
        """
        names = [name for name in self._factors if await self.is_usable(name, user, decision, amr)]
        return await self._preferences.ordered(user.username, names)

    async def is_usable(self, name: str, user: User, decision: Decision, amr: Sequence[str] = ()) -> bool:
        """Tell whether a factor is one of `usable_factors`, without asking the store for the others."""
        factor = self._factors.get(name)
        if factor is None or (decision.factors and name not in decision.factors):
            return False
        if (name == "approval" and has_two(tuple(amr))) or (name == "email" and by_mailbox_alone(amr)):
            return False
        return await self._usable(factor, user, decision)

    async def lost_sms(self, user: User) -> bool:
        """Tell whether the user's only second factor is SMS, which no longer signs in (`sms.migration`)."""
        if not self._sms_plan.ended_for(user) or not await self._factors["sms"].enrolled(user):
            return False
        others = [self._factors[name] for name in OWN_FACTORS - {"sms"} if name in self._factors]
        return not any([await factor.enrolled(user) for factor in others])

    async def _usable(self, factor: Factor, user: User, decision: Decision) -> bool:
        if factor.name == "sms" and self._sms_plan.ended_for(user):
            return False
        if decision.key_models:
            return isinstance(factor, WebAuthnFactor) and await factor.has_model(user, decision.key_models)
        return await factor.enrolled(user)
