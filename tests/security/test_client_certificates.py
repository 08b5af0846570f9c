"""Client certificates over real TLS: one of our authority is one factor, where a route opens that door."""

import ssl
from pathlib import Path
from typing import Any

import aiohttp

from gateway.config.schema import Tls
from gateway.server.tls.context import server_context
from tests.doors.run import RealClock
from tests.integration.test_proxy_upstream_tls import certificate
from tests.rig import running_gateway


def route(path: str, *, door: bool = True, **policy: Any) -> dict[str, Any]:
    return {"path": path, "upstream": "UPSTREAM", "client_cert": door, "policy": policy}


ROUTES = [
    route("/one", require="one_factor"),
    route("/robots", require="one_factor", users=["cert:robot"]),
    route("/others", require="one_factor", users=["cert:other"]),
    route("/two"),
    route("/machine", machine_suffices=True),
    route("/closed", door=False, require="one_factor"),
]


async def statuses(port: int, context: ssl.SSLContext) -> dict[str, int]:
    async with aiohttp.ClientSession() as client:
        found = {}
        for one in ROUTES:
            url = f"https://127.0.0.1:{port}{one['path']}"
            async with client.get(url, ssl=context, headers={"Accept": "*/*"}) as answer:
                found[one["path"]] = answer.status
                if answer.status == 200:
                    assert ["Remote-User", "cert:robot"] in (await answer.json())["headers"]
        return found


def caller(ca: Path, pair: tuple[Path, Path] | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=ca)
    context.check_hostname = False
    if pair:
        context.load_cert_chain(*pair)
    return context


async def test_a_certificate_is_one_factor_where_its_door_is_open(tmp_path: Path) -> None:
    cert_file, key_file = certificate(tmp_path, "gateway")
    robot, stranger = certificate(tmp_path, "robot"), certificate(tmp_path, "stranger")
    tls = Tls(cert_file=cert_file, key_file=key_file, client_ca_file=robot[0])
    routes = [*ROUTES, route("/open", require="bypass")]
    context = server_context(tls)
    async with running_gateway(tmp_path, clock=RealClock(), routes=routes, ssl_context=context) as rig:
        anonymous = await statuses(rig.port, caller(cert_file, None))
        assert set(anonymous.values()) == {401}
        known = await statuses(rig.port, caller(cert_file, robot))
        assert known == {
            "/one": 200,
            "/robots": 200,
            "/others": 403,
            "/two": 401,
            "/machine": 200,
            "/closed": 401,
        }
        async with aiohttp.ClientSession() as client:
            url = f"https://127.0.0.1:{rig.port}/open"
            context = caller(cert_file, robot)
            for _ in range(3):
                async with client.get(url, ssl=context) as answer:
                    assert ["Remote-User", "cert:robot"] in (await answer.json())["headers"]
        try:
            refused = await statuses(rig.port, caller(cert_file, stranger))
        except aiohttp.ClientError:
            return  # the handshake ended
        raise AssertionError(f"a certificate of another authority was taken: {refused}")
