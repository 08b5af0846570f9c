"""`make recipes`: installs each app of docs/recipes.md that pip or npm have, and uses it behind the gateway.

    python -m tests.recipes [NAME ...]

One app at a time: most are large. Ends with what went well, and not zero if anything did not.
"""

import asyncio
import shutil
import sys
import tempfile
import time
import traceback
from pathlib import Path

from tests.recipes import apps  # noqa: F401 # enters them
from tests.recipes.stage import FOLDER, RECIPES, install, staged, version_of


async def tried(name: str) -> str:
    """A line about the app for docs/recipes.md. Raises what the trial raises."""
    app = RECIPES[name]
    home = install(name, app)
    folder = Path(tempfile.mkdtemp(prefix=f"recipe-{name}-"))
    async with staged(app, home, folder) as stage:
        await app.tried(stage)
        version = version_of(stage)
    shutil.rmtree(folder, ignore_errors=True)
    return f"run behind the gateway {time.strftime('%Y-%m-%d')} with version {version}"


def main(names: list[str]) -> int:
    failed = 0
    for name in names or list(RECIPES):
        began = time.monotonic()
        try:
            said = asyncio.run(tried(name))
        except Exception:  # the next app is tried all the same
            traceback.print_exc()
            said, failed = f"FAILED; see {FOLDER}", failed + 1
        print(f"{name}: {said} ({time.monotonic() - began:.0f} s)", flush=True)
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
