"""What is blocked now, and lifting it."""

from collections.abc import Sequence

from gateway.admin.api import models
from gateway.admin.api.operation import ApiCall, ApiResponse, Operation
from gateway.admin.lockouts import AdminBlocks
from gateway.admin.users import UserChanges
from gateway.authn.lockouts import Lockout


class BlockOperations:
    def __init__(self, people: UserChanges, blocks: AdminBlocks) -> None:
        self._people, self._blocks = people, blocks

    def all(self) -> list[Operation]:
        one = "/users/{username}"
        return [
            Operation(
                "GET",
                "/blocked",
                "listBlocked",
                "Users and addresses that have to wait now",
                self.list,
                gives=models.BlockedOut,
            ),
            Operation(
                "POST",
                "/blocked/lift",
                "liftBlocked",
                "Lift it for an address or a name of the list",
                self.lift,
                body=models.Lift,
                gives=models.BlockedOut,
                refusals=(404, 422),
            ),
            Operation(
                "GET",
                one + "/blocked",
                "userBlocked",
                "Locks and waits of a user",
                self.of,
                gives=models.BlockedOut,
                refusals=(404,),
            ),
            Operation(
                "POST",
                one + "/unlock",
                "unlockUser",
                "Lift every lock and limit of a user",
                self.unlock,
                gives=models.BlockedOut,
                refusals=(404,),
            ),
        ]

    async def list(self, call: ApiCall) -> ApiResponse:
        return _answer(await self._blocks.now())

    async def lift(self, call: ApiCall) -> ApiResponse:
        return _answer(await self._blocks.lift(call.actor, call.read(models.Lift).name))

    async def of(self, call: ApiCall) -> ApiResponse:
        return _answer(await self._blocks.of(await self._people.get(call.args["username"])))

    async def unlock(self, call: ApiCall) -> ApiResponse:
        user = await self._people.get(call.args["username"])
        return _answer(await self._blocks.unlock(call.actor, user))


def _answer(found: Sequence[Lockout]) -> ApiResponse:
    return ApiResponse(models.BlockedOut(items=[models.BlockOut.model_validate(one) for one in found]))
