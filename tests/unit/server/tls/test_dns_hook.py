"""The program that writes the DNS: what it is given, and what becomes of one that fails or does not end."""

import os
import sys
from pathlib import Path

import pytest

from gateway.server.tls.acme.authority import OrderFailed, Proof
from gateway.server.tls.acme.proofs import Proofs, run_hook
from tests.acme_rig import acme_section
from tests.waiting import until

WILD = Proof(host="example.test", token="t" * 20, value="v; rm -rf $HOME", authorization="", body=None)  # type: ignore[arg-type]


def hook(folder: Path, script: str) -> tuple[str, ...]:
    file = folder / "hook.py"
    file.write_text(script)
    return (sys.executable, str(file), "--zone", "z")


def proofs(folder: Path, command: tuple[str, ...], pauses: list[float]) -> Proofs:
    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    section = acme_section(folder, dns_hook=command, dns_wait=42)
    return Proofs(section, None, pause)  # type: ignore[arg-type]  # the records are for http-01


async def test_it_gets_verb_name_and_value_without_a_shell_and_then_the_dns_has_its_time(
    tmp_path: Path,
) -> None:
    log = tmp_path / "log"
    command = hook(tmp_path, f"import sys; open({str(log)!r}, 'a').write(repr(sys.argv[1:]) + '\\n')")
    pauses: list[float] = []
    one = proofs(tmp_path, command, pauses)
    await one.show([WILD])
    assert pauses == [42]
    await one.hide([WILD])
    record = ["_acme-challenge.example.test", WILD.value]
    assert [eval(line) for line in log.read_text().splitlines()] == [
        ["--zone", "z", verb, *record] for verb in ("present", "cleanup")
    ]


async def test_one_that_fails_ends_the_order_with_the_end_of_what_it_said(tmp_path: Path) -> None:
    command = hook(tmp_path, "import sys; print('x' * 5000); print('no such \\x1b[31mzone'); sys.exit(3)")
    with pytest.raises(OrderFailed) as caught:
        await proofs(tmp_path, command, []).show([WILD])
    assert caught.value.code == "dns_hook"
    assert "status 3" in str(caught.value)
    assert str(caught.value).endswith("no such ?[31mzone")
    assert len(str(caught.value)) < 400


async def test_one_that_cannot_clean_up_costs_nothing_more(tmp_path: Path) -> None:
    await proofs(tmp_path, hook(tmp_path, "raise SystemExit(1)"), []).hide([WILD])


async def test_one_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(OrderFailed, match="No such file"):
        await proofs(tmp_path, ("/nonexistent/hook",), []).show([WILD])


async def test_one_that_does_not_end_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    script = f"""
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(10000)"])
open({str(pid)!r}, "w").write(str(child.pid))
time.sleep(10000)
"""
    command = hook(tmp_path, script)
    # A short time-out is what is tested; the child may or may not be there by then.
    with pytest.raises(OSError, match="took longer than 2 s"):
        await run_hook(command, 2)
    if pid.exists() and pid.read_text():
        child = int(pid.read_text())
        await until(lambda: not Path(f"/proc/{child}").exists() or _is_dead(child), "its child is gone")


def _is_dead(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (OSError, IndexError):
        return True
