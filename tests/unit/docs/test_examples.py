"""The configuration examples in docs/*.md are accepted by the program, so that they can be copied."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.config.loader import read_text
from gateway.config.schema import Config
from gateway.errors import ConfigError

ROOT = Path(__file__).resolve().parents[3]
FENCE = re.compile(r"^```yaml\n(.*?)^```$", re.M | re.S)
FILE_KEYS = re.compile(r"\b(\w+_file|path): (/[\w./-]+|[\w/-]+\.svg|etc/[\w./-]+)")
FRAME: dict[str, Any] = {
    "server": {"public_url": "https://login.example.com", "trusted_proxies": ["10.0.0.0/8"]},
    "session": {"domain": "example.com"},
    "sms": {"provider": "console"},
    "routes": [{"host": "wiki.example.com", "upstream": "http://127.0.0.1:9000"}],
}
"""What an excerpt stands in: it adds keys to these sections, or replaces the list of routes."""
LEFT_OUT = {"sha256:…": f"sha256:{'0' * 64}"}
"""What the reader has to fill in."""


def examples() -> list[Any]:
    found = []
    for page in sorted((ROOT / "docs").glob("*.md")):
        for number, block in enumerate(FENCE.findall(page.read_text(encoding="utf-8")), 1):
            if is_ours(yaml.safe_load(block)):
                found.append(pytest.param(block, id=f"{page.name}-{number}"))
    return found


def is_ours(document: dict[str, Any]) -> bool:
    """Whether it is config.yaml, and not the file of another program."""
    return set(document) <= {"tests", "users", *Config.model_fields}


@pytest.mark.parametrize("block", examples())
def test_an_example_is_a_sound_configuration(block: str, tmp_path: Path) -> None:
    filled = FILE_KEYS.sub(lambda found: f"{found[1]}: {stand_in(tmp_path, found[2])}", block)
    for gap, text in LEFT_OUT.items():
        filled = filled.replace(gap, text)
    config = framed(yaml.safe_load(filled))
    if "countries" in filled:
        config.setdefault("risk", {"geoip_file": str(stand_in(tmp_path, "places.mmdb"))})
    text = yaml.safe_dump(config, allow_unicode=True)
    try:
        read_text(text, "example.yaml", {})
    except ConfigError as error:
        pytest.fail(f"{error}\n\n{text}")


def framed(excerpt: dict[str, Any]) -> dict[str, Any]:
    config = dict(FRAME)
    for key, value in excerpt.items():
        if key not in ("tests", "users"):
            config[key] = {**FRAME.get(key, {}), **value} if isinstance(value, dict) else value
    return config


def stand_in(folder: Path, name: str) -> Path:
    """A file that is there, in place of one on the reader's machine."""
    file = folder / Path(name).name
    file.write_text("a secret of some length")
    file.chmod(0o600)
    return file
