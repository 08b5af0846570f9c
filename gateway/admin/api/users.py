"""API operations on users, their factors, devices and links."""

from dataclasses import replace

from gateway.admin.api import request_models, response_models
from gateway.admin.api.operation import ApiCall, ApiResponse, Operation
from gateway.admin.difference import version
from gateway.admin.revocation import Accesses
from gateway.admin.services import AdminServices
from gateway.admin.users import OneTimeLink, UserChanges
from gateway.directory import identifiers
from gateway.errors import RequestRefused
from gateway.model import User


class UserOperations:
    """What the API can do with users and what belongs to them."""

    def __init__(self, admin: AdminServices, people: UserChanges, accesses: Accesses) -> None:
        self._admin, self._people, self._accesses = admin, people, accesses

    def all(self) -> list[Operation]:
        """Return the operations, as router and OpenAPI document take them."""
        one = "/users/{username}"
        changes = (404, 409, 412, 422)
        return [
            Operation(
                method="GET",
                path="/users",
                name="listUsers",
                summary="List users",
                run=self.list,
                query=request_models.UsersQuery,
                gives=response_models.UsersPage,
            ),
            Operation(
                method="POST",
                path="/users",
                name="addUser",
                summary="Add or invite a user",
                run=self.add,
                body=request_models.NewUser,
                gives=response_models.NewUserOut,
                status=201,
                refusals=(409, 422),
            ),
            Operation(
                method="GET",
                path=one,
                name="getUser",
                summary="One user",
                run=self.get,
                gives=response_models.UserOut,
                versioned=True,
                refusals=(404,),
            ),
            Operation(
                method="PATCH",
                path=one,
                name="changeUser",
                summary="Change, disable or enable a user",
                run=self.change,
                body=request_models.UserPatch,
                gives=response_models.UserOut,
                versioned=True,
                refusals=changes,
            ),
            Operation(
                method="DELETE",
                path=one,
                name="deleteUser",
                summary="Delete a user with sessions and factors",
                run=self.delete,
                status=204,
                versioned=True,
                refusals=changes,
            ),
            Operation(
                method="POST",
                path=one + "/link",
                name="makeLink",
                summary="A one-time link: invitation or new password",
                run=self.link,
                gives=response_models.LinkOut,
                status=201,
                refusals=(404, 409),
            ),
            Operation(
                method="GET",
                path=one + "/factors",
                name="listFactors",
                summary="Second factors of a user",
                run=self.factors,
                gives=response_models.FactorsOut,
                refusals=(404,),
            ),
            Operation(
                method="DELETE",
                path=one + "/factors",
                name="resetFactors",
                summary="Take away all second factors",
                run=self.reset,
                gives=response_models.Count,
                refusals=(404, 409),
            ),
            Operation(
                method="DELETE",
                path=one + "/factors/{id}",
                name="resetFactor",
                summary="Take away one second factor",
                run=self.reset,
                gives=response_models.Count,
                refusals=(404, 409),
            ),
            Operation(
                method="DELETE",
                path=one + "/sessions",
                name="endSessions",
                summary="End all sessions of a user",
                run=self.end,
                gives=response_models.Count,
                refusals=(404,),
            ),
            Operation(
                method="GET",
                path=one + "/devices",
                name="listDevices",
                summary="Remembered devices of a user",
                run=self.devices,
                gives=response_models.DevicesOut,
                refusals=(404,),
            ),
            Operation(
                method="DELETE",
                path=one + "/devices",
                name="forgetDevices",
                summary="Forget all devices of a user",
                run=self.forget,
                gives=response_models.Count,
                refusals=(404,),
            ),
        ]

    async def list(self, call: ApiCall) -> ApiResponse:
        """Answer with a page of users, in the order of their names."""
        query = call.read(request_models.UsersQuery)
        directory = self._admin.services.users.directory
        rest = await directory.list(query.search, after=query.cursor, limit=query.limit + 1)
        shown = rest[: query.limit]
        more = shown[-1].username if len(rest) > query.limit else None
        return ApiResponse(response_models.UsersPage(items=[self._out(user) for user in shown], next=more))

    async def add(self, call: ApiCall) -> ApiResponse:
        """Add or invite a user. Raises RequestRefused (422) for an invited user with a password."""
        new = call.read(request_models.NewUser)
        wanted = User(new.username, name=new.name, email=new.email, phone=new.phone, groups=tuple(new.groups))
        wanted = replace(wanted, attributes=identifiers.attributes(new.attributes))
        link: OneTimeLink | None = None
        if new.invite and new.password is not None:
            raise RequestRefused(
                "both", status=422, public="An invited user chooses the password: leave it out."
            )
        if new.invite:
            link = await self._people.invite(call.actor, wanted)
            user = await self._people.get(new.username)
        else:
            user = await self._people.add(call.actor, wanted, new.password)
        body = response_models.NewUserOut(
            user=self._out(user), link=response_models.LinkOut.model_validate(link) if link else None
        )
        return ApiResponse(body, 201, {"ETag": f'"{version(user)}"'})

    async def get(self, call: ApiCall) -> ApiResponse:
        return self._versioned(await self._named(call))

    async def change(self, call: ApiCall) -> ApiResponse:
        """Change the fields that are given, if the user is still as the caller has seen it (If-Match, RFC 9110
        §13.1.1).
        """
        user = await self._named(call)
        given = call.read(request_models.UserPatch).model_dump(exclude_none=True)
        if "groups" in given:
            given["groups"] = tuple(given["groups"])
        if "attributes" in given:
            given["attributes"] = identifiers.attributes(given["attributes"])
        seen = call.seen or version(user)
        return self._versioned(await self._people.change(call.actor, replace(user, **given), seen))

    async def delete(self, call: ApiCall) -> ApiResponse:
        await self._people.delete(call.actor, call.args["username"], call.seen)
        return ApiResponse(None, 204)

    async def link(self, call: ApiCall) -> ApiResponse:
        made = await self._people.link(call.actor, call.args["username"])
        return ApiResponse(response_models.LinkOut.model_validate(made), 201)

    async def factors(self, call: ApiCall) -> ApiResponse:
        """Answer with a user's second factors."""
        found = await self._accesses.factors(await self._named(call))
        return ApiResponse(
            response_models.FactorsOut(items=[response_models.FactorOut.model_validate(one) for one in found])
        )

    async def reset(self, call: ApiCall) -> ApiResponse:
        """Take away all second factors, or the one that is named. Raises RequestRefused (404) if there is no such
        factor.
        """
        user, id = await self._named(call), call.args.get("id", "")
        count = await self._accesses.reset_factors(call.actor, user, id)
        if id and not count:
            raise RequestRefused("no such factor", status=404, public="There is no such factor.")
        return ApiResponse(response_models.Count(count=count))

    async def end(self, call: ApiCall) -> ApiResponse:
        """End all sessions of a user."""
        user = await self._named(call)
        return ApiResponse(
            response_models.Count(count=await self._accesses.end_all(call.actor, user.username))
        )

    async def devices(self, call: ApiCall) -> ApiResponse:
        """Answer with the browsers that are remembered of a user."""
        found = await self._accesses.devices((await self._named(call)).username)
        return ApiResponse(
            response_models.DevicesOut(items=[response_models.DeviceOut.model_validate(one) for one in found])
        )

    async def forget(self, call: ApiCall) -> ApiResponse:
        """Forget all browsers of a user."""
        user = await self._named(call)
        return ApiResponse(
            response_models.Count(count=await self._accesses.forget_devices(call.actor, user.username))
        )

    async def _named(self, call: ApiCall) -> User:
        return await self._people.get(call.args["username"])

    def _versioned(self, user: User) -> ApiResponse:
        return ApiResponse(self._out(user), headers={"ETag": f'"{version(user)}"'})

    def _out(self, user: User) -> response_models.UserOut:
        return response_models.UserOut(
            username=user.username,
            name=user.name,
            email=user.email,
            phone=user.phone,
            groups=list(user.groups),
            attributes={name: list(values) for name, values in user.attributes},
            disabled=user.disabled,
            has_password=bool(user.password_hash),
            created_at=user.created_at,
            version=version(user),
            declared_in=self._admin.origin(user),
        )
