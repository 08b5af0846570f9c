"""`python -m tests.proxy_process UPSTREAM` runs a Proxy alone in a process, so that its memory can be measured."""

import asyncio
import sys

from gateway.config.schema import Route
from tests.proxy_rig import fronting


async def main(upstream: str) -> None:
    async with fronting(Route(upstream=upstream)) as front:
        print(front.port, flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
