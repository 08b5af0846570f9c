import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.config import introspection, reference
from gateway.config.schema import Config, Section

DOCS = Path(__file__).parents[3] / "docs"


def every_section(kind: type[Section]) -> Iterator[type[Section]]:
    yield kind
    for info in kind.keys().values():
        annotation = introspection.annotated(info)
        for inner in (annotation, introspection.child(annotation, [], 0)):
            for section in introspection.sections(inner):
                yield from every_section(section)


SECTIONS = list(every_section(Config))


def test_the_reference_is_fresh() -> None:
    assert (DOCS / "configuration.md").read_text() == reference.markdown().rstrip() + "\n", (
        "run: python -m gateway.config.reference > docs/configuration.md"
    )


def test_the_editor_schema_is_fresh() -> None:
    assert (DOCS / "config.schema.json").read_text() == reference.json_schema() + "\n", (
        "run: python -m gateway.config.reference --json-schema > docs/config.schema.json"
    )


def test_all_sections_are_found() -> None:
    names = {section.__name__ for section in SECTIONS}
    assert {
        "Server",
        "HttpLimits",
        "Tls",
        "Route",
        "Policy",
        "HealthCheck",
        "SmsTwilioVerify",
        "EmailSmtp",
    } <= names


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.__name__)
def test_every_key_has_a_description_and_is_in_the_reference(section: type[Section]) -> None:
    text = reference.markdown()
    for key, info in section.keys().items():
        assert info.description, key
        assert f"| `{key}`" in text


def test_the_editor_schema_accepts_a_secret_or_its_file() -> None:
    twilio = json.loads(reference.json_schema())["$defs"]["SmsTwilio"]
    assert "auth_token" not in twilio["required"]
    assert {"auth_token", "auth_token_file", "from"} <= set(twilio["properties"])
    assert {"oneOf": [{"required": ["auth_token"]}, {"required": ["auth_token_file"]}]} in twilio["allOf"]
    assert twilio["additionalProperties"] is False


def test_defaults_are_in_human_units() -> None:
    text = reference.markdown()
    assert "| `1h` | unused sessions" in text
    assert "| `32KiB` |" in text
    assert "| `unlimited` | larger request bodies" in text
