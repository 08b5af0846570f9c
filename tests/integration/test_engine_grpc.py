"""gRPC through `server.engine: envoy` to an app that speaks h2c: unary and streams, by session and by token."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest

from tests.doors.run import RealClock, new_token
from tests.engine_rig import behind_envoy
from tests.rig import Rig

pytestmark = pytest.mark.xdist_group("engine")
PATIENCE = 60
Messages = AsyncIterator[bytes]


def as_is(data: bytes) -> bytes:
    return data


class Echo(grpc.GenericRpcHandler):
    """Echo.One answers with what it got and who asked, Echo.Each for each message at once, Echo.Fail with an error."""

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        told = dict(details.invocation_metadata or ())

        async def one(request: bytes, context: grpc.aio.ServicerContext) -> bytes:
            context.set_trailing_metadata((("x-end", "yes"),))
            return f"{told.get('remote-user')} {told.get('cookie')} {request.decode()}".encode()

        async def each(requests: Messages, context: grpc.aio.ServicerContext) -> Messages:
            async for request in requests:
                yield b"echo " + request

        async def fail(request: bytes, context: grpc.aio.ServicerContext) -> bytes:
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such thing")
            return b""

        methods = {
            "/Echo/One": grpc.unary_unary_rpc_method_handler(one),
            "/Echo/Each": grpc.stream_stream_rpc_method_handler(each),
            "/Echo/Fail": grpc.unary_unary_rpc_method_handler(fail),
        }
        return methods.get(details.method)


@asynccontextmanager
async def grpc_app() -> AsyncIterator[str]:
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((Echo(),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"h2c://127.0.0.1:{port}"
    finally:
        await server.stop(None)


@asynccontextmanager
async def gateway(folder: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Rig]:
    async with grpc_app() as app:
        route = {"name": "echo", "upstream": app, "tokens": True, "policy": {"require": "one_factor"}}
        async with behind_envoy(folder, monkeypatch, clock=RealClock(), routes=[route]) as rig:
            yield rig


async def test_grpc_passes_with_a_session_or_a_token_and_not_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with gateway(tmp_path, monkeypatch) as rig:
        await rig.add_user()
        async with rig.browser() as browser:
            assert (await browser.password()).status == 303
            session = (("cookie", f"auth_session={browser.cookie()}; theirs=1"), ("remote-user", "root"))
        token = (("authorization", f"Bearer {await new_token(rig, routes=('echo',), methods=('POST',))}"),)
        async with grpc.aio.insecure_channel(f"127.0.0.1:{rig.port}") as channel:
            one, each, fail = (
                channel.unary_unary("/Echo/One"),
                channel.stream_stream("/Echo/Each"),
                channel.unary_unary("/Echo/Fail"),
            )
            call = one(b"hi", metadata=session, timeout=PATIENCE)
            assert await call == b"alice theirs=1 hi"
            assert ("x-end", "yes") in tuple(await call.trailing_metadata())
            assert await one(b"hi", metadata=token, timeout=PATIENCE) == b"token:corpus None hi"

            for proof in (session, token):
                stream = each(metadata=proof, timeout=PATIENCE)
                for word in (b"a", b"b"):  # each answer comes before the next question is asked
                    await stream.write(word)
                    assert await stream.read() == b"echo " + word
                await stream.done_writing()
                assert await stream.read() == grpc.aio.EOF
                assert await stream.code() is grpc.StatusCode.OK

            with pytest.raises(grpc.aio.AioRpcError) as failed:
                await fail(b"", metadata=session, timeout=PATIENCE)
            assert (failed.value.code(), failed.value.details()) == (
                grpc.StatusCode.NOT_FOUND,
                "no such thing",
            )
            for nobody in ((), (("cookie", "auth_session=made-up"),), (("authorization", "Bearer made-up"),)):
                with pytest.raises(grpc.aio.AioRpcError) as refused:
                    await one(b"hi", metadata=nobody, timeout=PATIENCE)
                assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
            await asyncio.sleep(0)
