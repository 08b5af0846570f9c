"""API operations that list and lift locks and spent budgets."""

from collections.abc import Sequence

from gateway.admin.api import request_models, response_models
from gateway.admin.api.operation import ApiCall, ApiResponse, Operation
from gateway.admin.lockouts import AdminBlocks
from gateway.admin.users import UserChanges
from gateway.authn.attacks import Attack
from gateway.authn.lockouts import Lockout


class BlockOperations:
    """The operations on locks."""

    def __init__(self, people: UserChanges, blocks: AdminBlocks) -> None:
        self._people, self._blocks = people, blocks

    def all(self) -> list[Operation]:
        """Return the operations, as router and OpenAPI document take them."""
        one = "/users/{username}"
        return [
            Operation(
                method="GET",
                path="/blocked",
                name="listBlocked",
                summary="Users and addresses that have to wait now",
                run=self.list,
                gives=response_models.BlockedOut,
            ),
            Operation(
                method="GET",
                path="/attacks",
                name="listAttacks",
                summary="Users with many failed sign-ins in the last 24 hours, and from where",
                run=self.attacks,
                gives=response_models.AttacksOut,
            ),
            Operation(
                method="POST",
                path="/blocked/lift",
                name="liftBlocked",
                summary="Lift it for an address or a name of the list",
                run=self.lift,
                body=request_models.Lift,
                gives=response_models.BlockedOut,
                refusals=(404, 422),
            ),
            Operation(
                method="GET",
                path=one + "/blocked",
                name="userBlocked",
                summary="Locks and waits of a user",
                run=self.of,
                gives=response_models.BlockedOut,
                refusals=(404,),
            ),
            Operation(
                method="POST",
                path=one + "/unlock",
                name="unlockUser",
                summary="Lift every lock and limit of a user",
                run=self.unlock,
                gives=response_models.BlockedOut,
                refusals=(404,),
            ),
        ]

    async def list(self, call: ApiCall) -> ApiResponse:
        return _answer(await self._blocks.now())

    async def attacks(self, call: ApiCall) -> ApiResponse:
        return ApiResponse(
            response_models.AttacksOut(items=[_attack(one) for one in await self._blocks.attacks()])
        )

    async def lift(self, call: ApiCall) -> ApiResponse:
        return _answer(await self._blocks.lift(call.actor, call.read(request_models.Lift).name))

    async def of(self, call: ApiCall) -> ApiResponse:
        return _answer(await self._blocks.of(await self._people.get(call.args["username"])))

    async def unlock(self, call: ApiCall) -> ApiResponse:
        user = await self._people.get(call.args["username"])
        return _answer(await self._blocks.unlock(call.actor, user))


def _attack(found: Attack) -> response_models.AttackOut:
    networks = [
        response_models.NetworkOut(network=network, failures=times) for network, times in found.networks
    ]
    return response_models.AttackOut(
        username=found.username,
        failures=found.count,
        networks=networks,
        other_addresses=found.others,
        since=found.since,
        last=found.last,
    )


def _answer(found: Sequence[Lockout]) -> ApiResponse:
    return ApiResponse(
        response_models.BlockedOut(items=[response_models.BlockOut.model_validate(one) for one in found])
    )
