"""Whatever the file holds: the loader gives a configuration or a ConfigError, never anything else."""

import os
from pathlib import Path

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.config.loader import Loaded, load, read_text
from gateway.config.schema import Config
from gateway.errors import ConfigError

KEYS = st.sampled_from(
    [
        *Config.model_fields,
        "provider",
        "upstream",
        "policy",
        "host",
        "path",
        "headers",
        "auth_token_file",
        "<<",
        "x",
    ]
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=12),
    st.sampled_from(
        ["twilio", "smtp", "webhook", "console", "${X}", "${", "/dev/null", "http://h", "unix:/a"]
    ),
)
TREES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=25,
)


def raises_only_config_errors(text: str) -> None:
    try:
        result: Loaded | ConfigError = read_text(text, "config.yaml", {"X": "y"})
    except ConfigError as error:
        result = error
    assert result.mistakes if isinstance(result, ConfigError) else isinstance(result.config, Config)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(["listen", "public_url"]), st.text(alphabet="htps:/[]@.-_*%?#0189ax \\\n", max_size=20)
)
def test_any_address_is_taken_or_refused(key: str, text: str) -> None:
    raises_only_config_errors(yaml.safe_dump({"server": {key: text}}))


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(["host", "path", "upstream", "websocket_origins"]),
    st.text(alphabet="htps:/[]@.-_*%?#0189ax \\\n", max_size=20),
)
def test_any_route_text_is_taken_or_refused(key: str, text: str) -> None:
    route = {"upstream": "http://127.0.0.1:9000", key: [text] if key == "websocket_origins" else text}
    raises_only_config_errors(yaml.safe_dump({"routes": [route, route | {"path": "/b"}]}))


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=200))
def test_random_text_raises_nothing_but_config_errors(text: str) -> None:
    raises_only_config_errors(text)


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="{}[]:,-&*!|>'\"%@`#?<~ \n\tab01\\xu.${}", max_size=120))
def test_random_yaml_signs_raise_nothing_but_config_errors(text: str) -> None:
    raises_only_config_errors(text)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(KEYS, TREES, max_size=6))
def test_random_configurations_raise_nothing_but_config_errors(tree: dict[str, object]) -> None:
    raises_only_config_errors(yaml.safe_dump(tree, allow_unicode=True))


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_random_bytes_raise_nothing_but_config_errors(content: bytes) -> None:
    read_end, write_end = os.pipe()
    os.write(write_end, content)
    os.close(write_end)
    try:
        assert isinstance(load(Path(f"/dev/fd/{read_end}"), {}), Config)
    except ConfigError as error:
        assert error.mistakes  # noqa: PT017 - either outcome is right, anything else is not
    finally:
        os.close(read_end)
