"""API operations that list people who ask for an account, and decide about them."""

from gateway.admin.api.operation import ApiCall, ApiResponse, Given, Operation
from gateway.admin.registrations import AdminRegistrations
from gateway.stores.protocols.registrations import Registration


class RegistrationOut(Given):
    """Somebody who proved a mail address (and a number), and asks for an account; times are Unix seconds."""

    id: str
    address: str
    name: str
    phone: str
    asked_at: float
    expires_at: float


class RegistrationsOut(Given):
    """Who waits, the oldest first; at most 200."""

    items: list[RegistrationOut]


class RegistrationOperations:
    """The operations on registrations."""

    def __init__(self, registrations: AdminRegistrations) -> None:
        self._registrations = registrations

    def all(self) -> list[Operation]:
        """Return the operations, as router and OpenAPI document take them."""
        one = "/registrations/{id}"
        return [
            Operation(
                method="GET",
                path="/registrations",
                name="listRegistrations",
                summary="People who ask for an account and wait",
                run=self.list,
                gives=RegistrationsOut,
            ),
            Operation(
                method="POST",
                path=one + "/approve",
                name="approveRegistration",
                summary="Add the user and mail an invitation",
                run=self.approve,
                gives=RegistrationOut,
                refusals=(409, 422),
            ),
            Operation(
                method="POST",
                path=one + "/refuse",
                name="refuseRegistration",
                summary="Refuse, and tell who asked",
                run=self.refuse,
                gives=RegistrationOut,
                refusals=(409,),
            ),
        ]

    async def list(self, call: ApiCall) -> ApiResponse:
        waiting = await self._registrations.waiting()
        return ApiResponse(RegistrationsOut(items=[_shown(one) for one in waiting]))

    async def approve(self, call: ApiCall) -> ApiResponse:
        return ApiResponse(_shown(await self._registrations.approve(call.actor, call.args["id"])))

    async def refuse(self, call: ApiCall) -> ApiResponse:
        return ApiResponse(_shown(await self._registrations.refuse(call.actor, call.args["id"])))


def _shown(asked: Registration) -> RegistrationOut:
    return RegistrationOut(
        id=asked.id,
        address=asked.address,
        name=asked.name,
        phone=asked.phone,
        asked_at=asked.asked_at,
        expires_at=asked.expires_at,
    )
