"""Records `make run` and a sign-in into docs/screenshots/first-run.svg: a terminal, then a browser, in twenty seconds.

Run `python docs/recording.py`; it needs Playwright (dev extra) and a `chromium` on the PATH. What is shown is what the
demo printed and Chromium drew; only the pauses are made up.
"""

import asyncio
import base64
import os
import re
import shutil
import socket
import sys
import tempfile
from dataclasses import dataclass
from html import escape
from pathlib import Path

from playwright.async_api import Page, async_playwright

HERE = Path(__file__).resolve().parent
WIDTH, HEIGHT, BAR = 760, 460, 30
LINE, SIZE = 17, 12.5
STYLE = (
    "text{font:12.5px ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,monospace;white-space:pre;fill:#d7dce2}"
    ".bar{fill:#2a2f37}.screen{fill:#14171c}.name{fill:#9aa4b1}.frame{opacity:0;animation-timing-function:steps(1)}"
    "@media (prefers-reduced-motion:reduce){.frame{animation:none!important}.last{opacity:1!important}}"
)


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture (SVG inside the window), the window's title, and for how many seconds it stays."""

    title: str
    inside: str
    seconds: float


class Demo:
    """The demo in a process of its own, and what it has said."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.said = ""

    async def until(self, pattern: str) -> re.Match[str]:
        """Read on until the output has it."""
        assert self.process.stdout is not None
        while not (found := re.search(pattern, self.said, re.M)):
            async with asyncio.timeout(60):
                line = await self.process.stdout.readline()
            assert line, f"the demo ended:\n{self.said}"
            self.said += line.decode()
        return found


def terminal(text: str, seconds: float) -> Frame:
    lines = [line for row in text.splitlines() for line in re.findall(r".{1,92}", row) or [""]][-24:]
    rows = "".join(
        f'<text x="16" y="{BAR + 24 + number * LINE}">{escape(line)}</text>'
        for number, line in enumerate(lines)
    )
    return Frame("Terminal", rows, seconds)


async def browser(page: Page, seconds: float) -> Frame:
    picture = base64.b64encode(await page.screenshot(type="jpeg", quality=60)).decode()
    inside = f'<image y="{BAR}" width="{WIDTH}" height="{HEIGHT}" href="data:image/jpeg;base64,{picture}"/>'
    return Frame(re.sub(r"\?.*", "", page.url), inside, seconds)


async def recorded(demo: Demo, page: Page, port: int) -> list[Frame]:
    """The way of a newcomer: the command, its words, the pages, the code on the terminal, the app."""
    command = "$ make run"
    frames = [terminal("$ " + command[2:typed] + "▏", 0.12) for typed in range(2, len(command) + 1)]
    await demo.until(r"Ctrl-C ends the demo")
    shown = command + "\n" + re.sub(r"^.* warning .*\n", "", demo.said, flags=re.M).rstrip()
    frames.append(terminal(shown, 3.5))
    password = (await demo.until(r"Password +(\S+)"))[1]
    await page.goto(f"http://localhost:{port}/")
    frames.append(await browser(page, 1.2))
    await page.fill("[name=username]", "demo")
    frames.append(await browser(page, 0.7))
    await page.fill("[name=password]", password)
    frames.append(await browser(page, 1.0))
    await page.press("[name=password]", "Enter")
    await page.wait_for_selector("[name=code]")
    frames.append(await browser(page, 1.5))
    code = (await demo.until(r"\b(\d{6})\b"))[1]
    last = next(line for line in demo.said.splitlines() if code in line)
    frames.append(terminal(f"{shown}\n\n{last}", 2.5))
    await page.fill("[name=code]", code)
    frames.append(await browser(page, 1.2))
    await page.evaluate("document.querySelector('[name=code]').form?.requestSubmit()")
    await page.wait_for_selector("a.quiet")  # the offer of a passkey
    frames.append(await browser(page, 2.0))
    await page.click("a.quiet")
    await page.wait_for_url(f"http://localhost:{port}/")
    await page.wait_for_load_state("networkidle")
    frames.append(await browser(page, 4.0))
    return frames


def drawing(frames: list[Frame]) -> str:
    """An SVG that shows one frame after the other, again and again; only the last where motion is not wanted."""
    total = sum(frame.seconds for frame in frames)
    rules, groups, begun = [], [], 0.0
    for number, frame in enumerate(frames):
        first, last = begun / total * 100, (begun + frame.seconds) / total * 100
        before = "" if number == 0 else "0%{opacity:0}"
        after = "" if number == len(frames) - 1 else f"{last:.3f}%{{opacity:0}}"
        rules.append(f"@keyframes f{number}{{{before}{first:.3f}%{{opacity:1}}{after}}}")
        style = f"animation-name:f{number};animation-duration:{total:.1f}s;animation-iteration-count:infinite"
        kind = "frame last" if number == len(frames) - 1 else "frame"
        groups.append(
            f'<g class="{kind}" style="{style}"><text class="name" x="{WIDTH / 2}" y="20" text-anchor="middle">'
            f"{escape(frame.title)}</text>{frame.inside}</g>"
        )
        begun += frame.seconds
    dots = "".join(f'<circle cx="{18 + 18 * n}" cy="15" r="5" fill="#4a525d"/>' for n in range(3))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT + BAR}" role="img" '
        f'aria-label="make run in a terminal, then a sign-in with password and code in a browser">'
        f'<style>{STYLE}{"".join(rules)}</style><rect class="screen" width="{WIDTH}" height="{HEIGHT + BAR}" rx="8"/>'
        f'<rect class="bar" width="{WIDTH}" height="{BAR}" rx="8"/>{dots}{"".join(groups)}</svg>\n'
    )


def free_port() -> int:
    """The usual one where nobody has it."""
    for wanted in (8080, 0):
        try:
            with socket.create_server(("127.0.0.1", wanted)) as free:
                return int(free.getsockname()[1])
        except OSError:
            continue
    raise SystemExit("there is no free port")


async def main() -> None:
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        command = (sys.executable, "-m", "gateway", "demo", "--port", str(port))
        environment = {**os.environ, "PYTHONPATH": str(HERE.parent), "PYTHONUNBUFFERED": "1"}
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=folder,
            env=environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            async with async_playwright() as playwright:
                path = os.environ.get("CHROMIUM") or shutil.which("chromium")
                chromium = await playwright.chromium.launch(
                    executable_path=path, args=["--no-sandbox", "--disable-gpu"]
                )
                page = await chromium.new_page(viewport={"width": WIDTH, "height": HEIGHT})
                frames = await recorded(Demo(process), page, port)
                await chromium.close()
        finally:
            process.terminate()
            await process.wait()
    (HERE / "screenshots" / "first-run.svg").write_text(drawing(frames))


if __name__ == "__main__":
    asyncio.run(main())
