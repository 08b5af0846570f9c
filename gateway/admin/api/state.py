"""API operations on the gateway's state: overview, routes, explanations, text messages."""

from gateway.admin.api import request_models, response_models
from gateway.admin.api.operation import ApiCall, ApiResponse, Operation
from gateway.admin.overview import overview
from gateway.admin.pages.routes import RouteRow, explained, route_rows
from gateway.admin.pages.sms import sms_numbers
from gateway.admin.revocation import Accesses
from gateway.admin.services import AdminServices


class StateOperations:
    """What the API tells of the gateway itself."""

    def __init__(self, admin: AdminServices, accesses: Accesses) -> None:
        self._admin, self._accesses = admin, accesses

    def all(self) -> list[Operation]:
        """Return the operations, as router and OpenAPI document take them."""
        return [
            Operation(
                method="GET",
                path="/me",
                name="me",
                summary="Who is asking, and the token for changes",
                run=self.me,
                gives=response_models.Me,
            ),
            Operation(
                method="GET",
                path="/overview",
                name="overview",
                summary="Numbers of the last 24 hours",
                run=self.overview,
                gives=response_models.OverviewOut,
            ),
            Operation(
                method="GET",
                path="/routes",
                name="listRoutes",
                summary="Routes with health and traffic",
                run=self.routes,
                gives=response_models.RoutesOut,
            ),
            Operation(
                method="POST",
                path="/explain",
                name="explain",
                summary="Which rule decides about a request, and why",
                run=self.explain,
                body=request_models.ExplainQuestion,
                gives=response_models.Explained,
                refusals=(422,),
            ),
            Operation(
                method="GET",
                path="/sms",
                name="sms",
                summary="Spend and delivery of text messages and calls",
                run=self.sms,
                gives=response_models.SmsOut,
            ),
        ]

    async def me(self, call: ApiCall) -> ApiResponse:
        return ApiResponse(response_models.Me(name=call.actor.name, csrf_token=call.csrf))

    async def overview(self, call: ApiCall) -> ApiResponse:
        """Answer with the numbers of the last 24 hours."""
        now = await overview(self._admin, await self._accesses.count_sessions())
        return ApiResponse(
            response_models.OverviewOut(
                **{name: getattr(now, name) for name in response_models.OverviewOut.model_fields}
            )
        )

    async def routes(self, call: ApiCall) -> ApiResponse:
        return ApiResponse(response_models.RoutesOut(items=[_route(row) for row in route_rows(self._admin)]))

    async def explain(self, call: ApiCall) -> ApiResponse:
        """Answer what the rules say of a request that nobody has made, and why."""
        asked = call.read(request_models.ExplainQuestion)
        answer = await explained(
            self._admin, asked.url, asked.method, asked.ip, asked.username, " ".join(asked.factors)
        )
        if answer.explanation is None:
            return ApiResponse(
                response_models.Explained(
                    route="", verdict="refused", rule="", reason=answer.refused, rules=[]
                )
            )
        decision = answer.explanation.decision
        rules = [response_models.RuleOut.model_validate(rule) for rule in answer.explanation.rules]
        return ApiResponse(
            response_models.Explained(
                route=answer.route,
                verdict=decision.verdict.value,
                rule=decision.rule,
                reason=decision.reason,
                rules=rules,
            )
        )

    async def sms(self, call: ApiCall) -> ApiResponse:
        return ApiResponse(response_models.SmsOut.model_validate(await sms_numbers(self._admin)))


def _route(row: RouteRow) -> response_models.RouteOut:
    traffic = row.traffic
    return response_models.RouteOut(
        route=row.route.label,
        host=row.route.host,
        path=row.route.path,
        declared_in=row.where,
        rules=[f"{rule.name}: {rule.require}" for rule, _ in row.rules],
        upstreams=[response_models.UpstreamOut.model_validate(one) for one in row.upstreams],
        requests=traffic.requests,
        refused=traffic.refused,
        failed=traffic.failed,
        p50=traffic.quantile(0.5),
        p99=traffic.quantile(0.99),
    )
