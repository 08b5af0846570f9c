"""The exported configurations with several upstreams, health checks, HTTP/2 and relative paths, in the real engines."""

import asyncio
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import grpc
import pytest
import yaml
from aiohttp import web
from click.testing import CliRunner

from gateway.cli.export import export, export_files
from gateway.clock import system_clock
from gateway.config.schema import Route
from gateway.engines.plan import plan
from gateway.keyring import KeyRing
from tests.integration.engines import ENGINES, behind, command, process
from tests.integration.test_engine_grpc import as_is, grpc_app
from tests.rig import listening_socket, running_gateway
from tests.waiting import PATIENCE, free_port, until

pytestmark = pytest.mark.xdist_group("processes")
HEALTH = {
    "path": "/alive",
    "interval": 0.2,
    "timeout": 30,
    "healthy_status": [200, 299],
    "fall": 1,
    "rise": 1,
}
OPEN = {"require": "bypass"}


class App:
    """Answers with its name. `alive` is what it says of itself, `asked` are the probes."""

    def __init__(self, name: str) -> None:
        self.name, self.alive, self.asked = name, True, 0

    async def answer(self, request: web.Request) -> web.Response:
        if request.path == "/base/alive":
            self.asked += 1
            return web.Response(status=200 if self.alive else 503)
        return web.Response(text=self.name)


@asynccontextmanager
async def two_apps() -> AsyncIterator[tuple[list[App], list[str]]]:
    apps, runners, urls = [App("one"), App("two")], [], []
    for app in apps:
        application = web.Application()
        application.router.add_route("*", "/{tail:.*}", app.answer)
        runner = web.AppRunner(application)
        await runner.setup()
        sock = listening_socket()
        await web.SockSite(runner, sock).start()
        runners.append(runner)
        urls.append(f"http://127.0.0.1:{sock.getsockname()[1]}/base")
    try:
        yield apps, urls
    finally:
        await asyncio.gather(*(runner.cleanup() for runner in runners))


async def names(url: str, times: int = 8) -> set[str]:
    """Who answers requests on new connections."""
    found = set()
    for _ in range(times):
        async with aiohttp.ClientSession() as client, client.get(f"{url}/x") as answer:
            found.add(await answer.text() if answer.status == 200 else str(answer.status))
    return found


@pytest.mark.parametrize("engine", ["haproxy", "caddy", "envoy"])
async def test_an_app_that_says_it_is_ill_gets_no_requests_until_it_is_well(
    engine: str, tmp_path: Path
) -> None:
    async with two_apps() as (apps, urls):
        routes = [{"host": "*", "upstream": urls, "health": HEALTH, "policy": OPEN}]
        async with behind(engine, tmp_path, routes=routes) as rig:
            assert await until(lambda: both(rig.url), "both answer")
            apps[1].alive = False
            assert await until(lambda: only(rig.url, {"one"}), "the ill one is left out")
            apps[1].alive = True
            assert await until(lambda: both(rig.url), "both answer again")


async def both(url: str) -> bool:
    return await names(url) == {"one", "two"}


async def only(url: str, expected: set[str]) -> bool:
    return await names(url) == expected


@pytest.mark.parametrize("engine", ENGINES)
async def test_an_app_that_is_gone_costs_no_request(engine: str, tmp_path: Path) -> None:
    """nginx probes nothing, but asks the next where one does not answer."""
    async with two_apps() as (_, urls):
        urls[1] = f"http://127.0.0.1:{free_port()}/base"
        routes = [{"host": "*", "upstream": urls, "health": HEALTH, "policy": OPEN}]
        async with behind(engine, tmp_path, routes=routes) as rig:
            assert await until(lambda: only(rig.url, {"one"}), "the other answers for both")


def make_certificate(folder: Path) -> None:
    words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    words += ["-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    words += ["-keyout", str(folder / "cert.pem.key"), "-out", str(folder / "cert.pem")]
    subprocess.run(words, check=True, capture_output=True)


@pytest.mark.parametrize("engine", ENGINES)
async def test_an_engine_finds_a_certificate_by_a_relative_path_and_speaks_http_2(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_certificate(tmp_path)
    port, state = free_port(), tmp_path / engine
    server = {"public_url": f"https://localhost:{port}", "trusted_proxies": ["127.0.0.1/32"]}
    routes = [{"host": "*", "upstream": "http://127.0.0.1:9", "policy": OPEN}]
    config = tmp_path / "config.yaml"
    config.write_text(
        yaml.safe_dump({"server": server, "routes": routes, "session": {"keys_file": "session.keys"}})
    )
    monkeypatch.chdir(tmp_path)
    KeyRing.load_or_create(tmp_path / "session.keys", system_clock)
    words = [engine, "--output", str(state), "--listen", f"127.0.0.1:{port}"]
    words += ["--certificate", "cert.pem", "--key", "cert.pem.key"]
    done = CliRunner().invoke(export, words)
    assert done.exit_code == 0, done.output
    file = Path(done.output.splitlines()[0])
    async with process(command(engine, file), port, state):
        context = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))
        context.set_alpn_protocols(["h2", "http/1.1"])
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="localhost")
        assert writer.get_extra_info("ssl_object").selected_alpn_protocol() == "h2"
        writer.close()


async def test_envoy_carries_grpc_to_an_app_that_speaks_h2c(tmp_path: Path) -> None:
    """The gateway only answers: its own proxy speaks no HTTP/2 to apps, so the export has another upstream."""
    port = free_port()
    server = {"public_url": f"http://127.0.0.1:{port}", "trusted_proxies": ["127.0.0.1/32"]}
    routes = [{"host": "*", "upstream": "UPSTREAM", "policy": OPEN}]
    async with grpc_app() as app, running_gateway(tmp_path, server=server, routes=routes) as rig:
        route = Route.model_validate({"host": "*", "upstream": app, "policy": OPEN})
        config = rig.config.model_copy(update={"routes": (route,)})
        exported = export_files("envoy", plan(config, engine="envoy", listen=f"127.0.0.1:{port}"), config)
        file = tmp_path / "envoy.yaml"
        file.write_text(exported[file.name])
        async with (
            process(command("envoy", file), port, tmp_path),
            grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel,
        ):
            ask = channel.unary_unary("/Echo/One", request_serializer=as_is, response_deserializer=as_is)
            call = ask(b"hello", timeout=PATIENCE)
            assert (await call).endswith(b" hello")
            assert ("x-end", "yes") in list(await call.trailing_metadata())
