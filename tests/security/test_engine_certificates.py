"""Client certificates with `server.engine: envoy`: the same people, rules, headers and refusals as without it.

Envoy asks for them and checks them; what a worker is told of one can be said by nobody else.
"""

import asyncio
import json
import re
import shutil
import ssl
import subprocess
from contextlib import suppress
from pathlib import Path

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from gateway.server.process.engine_authorities import number_in
from tests.authorities import Authority
from tests.certificate_doors import ROUTES, Clients, Speaker, both_doors, trusting
from tests.engine_rig import carried_so_far
from tests.rig import Rig
from tests.services import missing
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.xdist_group("engine")


PATHS = (*(one["path"] for one in ROUTES), "/_auth/whoami?path=/one", "/_auth/whoami?path=/closed")
Answer = tuple[int, list[tuple[str, str]], str]


CHANGING = ("x-request-id", "x-auth-assertion")
COMPARED = ("www-authenticate", "cache-control", "content-type", "vary")


async def answers(rig: Rig, clients: Clients, who: str) -> dict[str, Answer]:
    """What a client gets on one connection, by path; nothing where the handshake ends."""
    found: dict[str, Answer] = {}
    connector = aiohttp.TCPConnector(ssl=trusting(clients.folder, clients.shown[who]))
    headers = {"Accept": "*/*", **clients.headers.get(who, {})}
    with suppress(aiohttp.ClientError):
        async with aiohttp.ClientSession(connector=connector, headers=headers) as client:
            for path in PATHS:
                async with client.get(f"https://127.0.0.1:{rig.port}{path}") as got:
                    found[path] = await compared(rig, path, got)
    return found


async def compared(rig: Rig, path: str, got: aiohttp.ClientResponse) -> Answer:
    """What the client gets, and in the body what the app got; without what names the gateway or the moment."""
    text = (await got.text()).replace(str(rig.port), "PORT")
    if got.status == 200 and "whoami" not in path:
        told = sorted((one.lower(), value) for one, value in json.loads(text)["headers"])
        if rig.engine is not None:
            assert not [one for one, _ in told if one.startswith("x-gateway")]
        # To our own server these are names as any other.
        text = str([pair for pair in told if pair[0] not in CHANGING and not pair[0].startswith("x-gateway")])
    headers = [(name.lower(), value) for name, value in got.headers.items() if name.lower() in COMPARED]
    return got.status, sorted(headers), re.sub(r'"(request_id|auth_time)": "?[0-9a-f]+"?', "", text)


async def test_each_certificate_counts_behind_envoy_for_what_it_counts_at_our_own_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clients = Clients.made(tmp_path)
    async with both_doors(tmp_path, monkeypatch, clients) as (ours, inside):
        statuses: dict[str, dict[str, int]] = {}
        for who in clients.shown:
            expected, found = await answers(ours, clients, who), await answers(inside, clients, who)
            assert found == expected, who
            if found:
                statuses[who] = {path: status for path, (status, _, _) in found.items()}
        assert carried_so_far(inside) > 0
    of_robot = dict(zip(PATHS, (200, 200, 401, 200, 200, 401, 200, 200, 401), strict=True))
    assert (
        statuses["robot"] == statuses["by an authority below"] == statuses["a common name alone"] == of_robot
    )
    assert statuses["an Ed25519 key"] == of_robot
    assert statuses["several names"] == {**of_robot, "/robots": 403}
    of_nobody = dict(zip(PATHS, (401, 401, 401, 401, 200, 401, 200, 401, 401), strict=True))
    for who in ("nobody", "two common names", "a name with a comma", "forged header", "forged twice"):
        assert statuses[who] == of_nobody, who
    assert {"another authority", "expired", "not valid yet", "for servers"}.isdisjoint(statuses)


# -- one connection after the other --------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
async def test_a_resumed_tls_session_has_its_certificate_until_the_authorities_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: ssl.TLSVersion
) -> None:
    clients = Clients.made(tmp_path)
    robot, nobody = (trusting(tmp_path, clients.shown[who]) for who in ("robot", "nobody"))
    robot.maximum_version = nobody.maximum_version = version
    async with both_doors(tmp_path, monkeypatch, clients) as doors:
        with Speaker() as speaker:
            for rig in doors:
                first = await speaker.speak(rig.port, robot)
                assert first.status == 200
                again = await speaker.speak(rig.port, robot, first.session)
                assert (again.status, again.resumed) == (200, True)
                stranger = await speaker.speak(rig.port, nobody)
                assert stranger.status == 401
            _, inside = doors
            engine = inside.engine
            assert engine is not None
            other = Authority.new(tmp_path, "next")
            clients.ours.file.write_bytes(other.file.read_bytes())
            engine.apply(inside.config)
            await until(engine.current, "Envoy has the new authorities")
            for session in (again.session, None):
                refused = await speaker.speak(inside.port, robot, session)
                assert (refused.status, refused.resumed) == (0, False)
            new = trusting(tmp_path, other.issue("robot", x509.DNSName("robot.test")))
            found = await speaker.speak(inside.port, new)
            assert found.status == 200
            # A connection of before is still open. A worker of the new configuration, as would be forked now, does not
            # believe what was checked there.
            server = inside.gateway._server
            assert server is not None
            assert server.carried is not None
            server.carried.authorities = number_in(engine.folder)
            assert await again.ask(inside.port) == 503
            assert await found.ask(inside.port) == 200


async def test_an_authority_below_another_may_stand_alone_and_a_short_key_counts_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clients = Clients.made(tmp_path)
    clients.ours = Authority.new(tmp_path, "below", clients.ours)
    short = clients.ours.issue("robot.test", key=rsa.generate_private_key(65537, 1024))
    async with both_doors(tmp_path, monkeypatch, clients) as doors:
        with Speaker() as speaker:
            for rig, refused in zip(doors, (0, 401), strict=True):  # Envoy takes it, so the worker does not
                for pair, status in ((clients.ours.issue("robot.test"), 200), (short, refused)):
                    context = trusting(tmp_path, None)
                    context.set_ciphers("DEFAULT@SECLEVEL=0")
                    context.load_cert_chain(*pair)
                    spoken = await speaker.speak(rig.port, context)
                    assert spoken.status == status


async def test_over_http_2_a_certificate_counts_as_over_http_1_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if shutil.which("curl") is None:
        missing("curl is not installed")
    clients = Clients.made(tmp_path)
    async with both_doors(tmp_path, monkeypatch, clients) as (_, inside):
        found = {}
        for who in ("robot", "nobody", "forged header", "another authority", "expired"):
            pair = clients.shown[who]
            words = ["curl", "-s", "--http2", "--cacert", str(tmp_path / "cert.pem"), "-o", "/dev/null"]
            words += [
                "-w",
                "%{http_version} %{http_code} ",
                *(("--cert", pair[0], "--key", pair[1]) if pair else ()),
            ]
            for name, value in clients.headers.get(who, {}).items():
                words += ["-H", f"{name}: {value}"]
            urls = [f"https://127.0.0.1:{inside.port}{path}" for path in ("/one", "/public", "/closed")]
            urls = [word for url in urls for word in ("-o", "/dev/null", url)][2:]
            done = await asyncio.to_thread(
                subprocess.run, [*words, *urls], capture_output=True, text=True, timeout=PATIENCE, check=False
            )
            found[who] = done.stdout.split()[1::2]
        assert found == {
            "robot": ["200", "200", "401"],
            "nobody": ["401", "200", "401"],
            "forged header": ["401", "200", "401"],
            "another authority": ["000", "000", "000"],
            "expired": ["000", "000", "000"],
        }
        assert carried_so_far(inside) >= 3
        assert "alt-svc" not in {name.lower() for name in (await _any_answer(inside, tmp_path))}


async def _any_answer(rig: Rig, folder: Path) -> list[str]:
    url = f"https://127.0.0.1:{rig.port}/public"
    async with aiohttp.ClientSession() as client, client.get(url, ssl=trusting(folder, None)) as got:
        return list(got.headers)
