"""Shows an authority that a name is ours: over port 80 (http-01, RFC 8555 §8.3), or in the DNS (dns-01, §8.4)."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Awaitable, Callable, Sequence

from gateway.config.sections.acme import Acme
from gateway.server.tls.acme.authority import OrderFailed, Proof
from gateway.server.tls.acme.records import AcmeRecords

_SAID = 200
Pause = Callable[[float], Awaitable[object]]


class Proofs:
    """Shows proofs and takes them away again, in the way that the configuration names."""

    def __init__(self, section: Acme, records: AcmeRecords, pause: Pause = asyncio.sleep) -> None:
        self._section, self._records, self._pause = section, records, pause

    async def show(self, proofs: Sequence[Proof]) -> None:
        """Show all of them. Raises OrderFailed if the DNS hook fails, and StoreUnavailable."""
        for proof in proofs:
            if self._section.dns_hook:
                await self._hook("present", proof)
            else:
                await self._records.show(proof.token, proof.value)
        if self._section.dns_hook and proofs:
            await self._pause(self._section.dns_wait)

    async def hide(self, proofs: Sequence[Proof]) -> None:
        """Take them away, as far as that can be done: what stays proves nothing any more."""
        for proof in proofs:
            with contextlib.suppress(OrderFailed):
                if self._section.dns_hook:
                    await self._hook("cleanup", proof)
                else:
                    await self._records.hide(proof.token)

    async def _hook(self, verb: str, proof: Proof) -> None:
        command = (*self._section.dns_hook, verb, f"_acme-challenge.{proof.host}", proof.value)
        try:
            await run_hook(command, self._section.dns_hook_timeout)
        except OSError as error:
            raise OrderFailed("dns_hook", f"dns_hook {verb} for {proof.host}: {error}") from None


async def run_hook(command: Sequence[str], seconds: float) -> None:
    """Run a program, without a shell, for at most `seconds`. Raises OSError with the end of what it said."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,  # so that what it started ends with it
    )
    try:
        async with asyncio.timeout(seconds):
            said, _ = await process.communicate()
    except TimeoutError:
        raise OSError(f"took longer than {seconds:g} s and was ended") from None
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    if process.returncode:
        text = " ".join(said.decode(errors="replace").split())[-_SAID:]
        words = "".join(char if char.isprintable() else "?" for char in text)
        raise OSError(f"ended with status {process.returncode}: {words or 'it said nothing'}")
