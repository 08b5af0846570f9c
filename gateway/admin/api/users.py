"""Users, their factors, devices and links."""

from dataclasses import replace

from gateway.admin.api import models
from gateway.admin.api.operation import ApiCall, ApiResponse, Operation
from gateway.admin.difference import version
from gateway.admin.revocation import Accesses
from gateway.admin.services import AdminParts
from gateway.admin.users import OneTimeLink, UserChanges
from gateway.errors import RequestRefused
from gateway.model import User


class UserOperations:
    def __init__(self, admin: AdminParts, people: UserChanges, accesses: Accesses) -> None:
        self._admin, self._people, self._accesses = admin, people, accesses

    def all(self) -> list[Operation]:
        one = "/users/{username}"
        changes = (404, 409, 412, 422)
        return [
            Operation(
                "GET",
                "/users",
                "listUsers",
                "List users",
                self.list,
                query=models.UsersQuery,
                gives=models.UsersPage,
            ),
            Operation(
                "POST",
                "/users",
                "addUser",
                "Add or invite a user",
                self.add,
                body=models.NewUser,
                gives=models.NewUserOut,
                status=201,
                refusals=(409, 422),
            ),
            Operation(
                "GET",
                one,
                "getUser",
                "One user",
                self.get,
                gives=models.UserOut,
                versioned=True,
                refusals=(404,),
            ),
            Operation(
                "PATCH",
                one,
                "changeUser",
                "Change, disable or enable a user",
                self.change,
                body=models.UserPatch,
                gives=models.UserOut,
                versioned=True,
                refusals=changes,
            ),
            Operation(
                "DELETE",
                one,
                "deleteUser",
                "Delete a user with sessions and factors",
                self.delete,
                status=204,
                versioned=True,
                refusals=changes,
            ),
            Operation(
                "POST",
                one + "/link",
                "makeLink",
                "A one-time link: invitation or new password",
                self.link,
                gives=models.LinkOut,
                status=201,
                refusals=(404, 409),
            ),
            Operation(
                "GET",
                one + "/factors",
                "listFactors",
                "Second factors of a user",
                self.factors,
                gives=models.FactorsOut,
                refusals=(404,),
            ),
            Operation(
                "DELETE",
                one + "/factors",
                "resetFactors",
                "Take away all second factors",
                self.reset,
                gives=models.Count,
                refusals=(404, 409),
            ),
            Operation(
                "DELETE",
                one + "/factors/{id}",
                "resetFactor",
                "Take away one second factor",
                self.reset,
                gives=models.Count,
                refusals=(404, 409),
            ),
            Operation(
                "DELETE",
                one + "/sessions",
                "endSessions",
                "End all sessions of a user",
                self.end,
                gives=models.Count,
                refusals=(404,),
            ),
            Operation(
                "GET",
                one + "/devices",
                "listDevices",
                "Remembered devices of a user",
                self.devices,
                gives=models.DevicesOut,
                refusals=(404,),
            ),
            Operation(
                "DELETE",
                one + "/devices",
                "forgetDevices",
                "Forget all devices of a user",
                self.forget,
                gives=models.Count,
                refusals=(404,),
            ),
        ]

    async def list(self, call: ApiCall) -> ApiResponse:
        query = call.read(models.UsersQuery)
        found = await self._admin.parts.directory.list(query.search)
        rest = [user for user in found if user.username > query.cursor]
        shown = rest[: query.limit]
        more = shown[-1].username if len(rest) > query.limit else None
        return ApiResponse(models.UsersPage(items=[self._out(user) for user in shown], next=more))

    async def add(self, call: ApiCall) -> ApiResponse:
        new = call.read(models.NewUser)
        wanted = User(new.username, name=new.name, email=new.email, phone=new.phone, groups=tuple(new.groups))
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
        body = models.NewUserOut(
            user=self._out(user), link=models.LinkOut.model_validate(link) if link else None
        )
        return ApiResponse(body, 201, {"ETag": f'"{version(user)}"'})

    async def get(self, call: ApiCall) -> ApiResponse:
        return self._versioned(await self._named(call))

    async def change(self, call: ApiCall) -> ApiResponse:
        user = await self._named(call)
        given = call.read(models.UserPatch).model_dump(exclude_none=True)
        if "groups" in given:
            given["groups"] = tuple(given["groups"])
        seen = call.seen or version(user)
        return self._versioned(await self._people.change(call.actor, replace(user, **given), seen))

    async def delete(self, call: ApiCall) -> ApiResponse:
        await self._people.delete(call.actor, call.args["username"], call.seen)
        return ApiResponse(None, 204)

    async def link(self, call: ApiCall) -> ApiResponse:
        made = await self._people.link(call.actor, call.args["username"])
        return ApiResponse(models.LinkOut.model_validate(made), 201)

    async def factors(self, call: ApiCall) -> ApiResponse:
        found = await self._accesses.factors(await self._named(call))
        return ApiResponse(models.FactorsOut(items=[models.FactorOut.model_validate(one) for one in found]))

    async def reset(self, call: ApiCall) -> ApiResponse:
        user, id = await self._named(call), call.args.get("id", "")
        count = await self._accesses.reset_factors(call.actor, user, id)
        if id and not count:
            raise RequestRefused("no such factor", status=404, public="There is no such factor.")
        return ApiResponse(models.Count(count=count))

    async def end(self, call: ApiCall) -> ApiResponse:
        user = await self._named(call)
        return ApiResponse(models.Count(count=await self._accesses.end_all(call.actor, user.username)))

    async def devices(self, call: ApiCall) -> ApiResponse:
        found = await self._accesses.devices((await self._named(call)).username)
        return ApiResponse(models.DevicesOut(items=[models.DeviceOut.model_validate(one) for one in found]))

    async def forget(self, call: ApiCall) -> ApiResponse:
        user = await self._named(call)
        return ApiResponse(models.Count(count=await self._accesses.forget_devices(call.actor, user.username)))

    async def _named(self, call: ApiCall) -> User:
        return await self._people.get(call.args["username"])

    def _versioned(self, user: User) -> ApiResponse:
        return ApiResponse(self._out(user), headers={"ETag": f'"{version(user)}"'})

    def _out(self, user: User) -> models.UserOut:
        return models.UserOut(
            username=user.username,
            name=user.name,
            email=user.email,
            phone=user.phone,
            groups=list(user.groups),
            disabled=user.disabled,
            has_password=bool(user.password_hash),
            created_at=user.created_at,
            version=version(user),
            declared_in=self._admin.origin(user),
        )
