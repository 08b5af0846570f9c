"""A worker that has answered its last request ends: no timer, idle connection or work beside the requests holds it up.

The clock of the loop stands still in this test, so whatever waits for it would wait for ever, however fast or slow the
machine is. With processes, `tests/faults/test_reloads_under_load.py` reloads with a drain time-out that is longer than
any wait of its own.
"""

import asyncio
import threading
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import gateway
from gateway.keyring import KeyRing
from gateway.server.closing_connection import BRIEFLY
from gateway.server.drain import LINGER
from gateway.server.process.worker import serve_until
from tests.both_paths import request
from tests.databases import give_schema
from tests.integration.serving import upstream
from tests.rig import FakeClock, listening_socket, make_config
from tests.waiting import PATIENCE, leap

OURS = f"{Path(gateway.__file__).parent}/"


@pytest.mark.parametrize("fast_path", [True, False], ids=["fast", "ordinary"])
@pytest.mark.parametrize("stays", [False, True], ids=["client closes", "client stays"])
async def test_a_worker_waits_for_nothing_once_its_last_request_is_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fast_path: bool, stays: bool
) -> None:
    """A client that stays costs the moment in which we read on behind our answer (RFC 9112 §9.6), and no more."""
    loop = asyncio.get_running_loop()
    async with upstream() as url:
        sock = listening_socket()
        port = sock.getsockname()[1]
        route = {"host": "*", "path": "/", "upstream": url, "policy": {"require": "bypass"}}
        server = {"fast_path": fast_path, "drain_timeout": "10m"}
        config = make_config(tmp_path, url, port, {"server": server, "routes": [route]})
        await give_schema(config.storage.url)
        KeyRing.load_or_create(config.session.keys_file, FakeClock())
        before = asyncio.all_tasks()
        stop, ready = asyncio.Event(), asyncio.Event()
        worker = asyncio.create_task(serve_until(stop, config, [sock], ready=lambda _: ready.set()))
        ended = threading.Event()  # so that the wait for it needs no clock of the loop
        worker.add_done_callback(lambda _: ended.set())
        async with asyncio.timeout(PATIENCE):
            await ready.wait()
            ports = (port, port, port, urlsplit(url).port)
            used, never, last, app = [await asyncio.open_connection("127.0.0.1", one) for one in ports]
            used[1].write(request("/quick"))
            await used[0].readuntil(b"quick")
            last[1].write(request("/slow"))
            app[1].write(request("/entered"))
            await app[0].readuntil(b"entered")
            leap(LINGER)  # or else the connection that was used a moment ago would have so long
            stop.set()
            for reader, _ in (used, never):
                assert await reader.read() == b""
        assert not worker.done(), "it drains, and waits for the request alone"
        with monkeypatch.context() as clock:
            now = loop.time()
            clock.setattr(loop, "time", lambda: now)
            app[1].write(request("/release"))
            assert (await last[0].read()).endswith(b"\r\n\r\nslow")
            if stays:
                leap(BRIEFLY)
            else:
                last[1].close()
            assert await asyncio.to_thread(ended.wait, PATIENCE), "it waits for a clock"
            await worker
        assert not [task for task in asyncio.all_tasks() - before if OURS in repr(task)], "left behind"
        for _, writer in (used, never, last, app):
            writer.close()
