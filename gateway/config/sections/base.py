"""What every part of the schema builds on: the strict base model and the marks that its types carry.

Marks only describe. Mistakes, the reference and the editor schema all read them, so the three never disagree.
"""

from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, Any, get_args, get_origin

from pydantic import (
    BaseModel,
    ConfigDict,
    GetJsonSchemaHandler,
    PlainValidator,
    SecretStr,
    StringConstraints,
)
from pydantic.fields import FieldInfo
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema


@dataclass(frozen=True, slots=True)
class Words:
    """How people call a type ("a duration such as `5m`") and how its values are shown."""

    text: str
    show: Callable[[Any], str] = str


@dataclass(frozen=True, slots=True)
class FromFile:
    """Marks a text that may hold a secret, so that `<name>_file` is accepted in its place."""


Url = Annotated[str, StringConstraints(pattern=r"^https?://[^\s]+$"), Words("an http:// or https:// URL")]


class Section(BaseModel):
    """Unknown keys are mistakes; nothing changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @classmethod
    def keys(cls) -> dict[str, FieldInfo]:
        """The fields under the names that the file uses (`from`, not `from_`)."""
        return {info.alias or name: info for name, info in cls.model_fields.items()}

    @classmethod
    def file_keys(cls) -> dict[str, str]:
        """Return the keys that read a secret from a file: `auth_token_file` -> `auth_token`, for every secret of this
        section.
        """
        return {f"{key}_file": key for key, info in cls.keys().items() if takes_file(info)}

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core: CoreSchema, handler: GetJsonSchemaHandler, /
    ) -> JsonSchemaValue:
        """Editors must accept `auth_token_file` too, and then not ask for `auth_token`."""
        result = handler.resolve_ref_schema(handler(core))
        for twin, key in cls.file_keys().items():
            text = f"file that holds `{key}`"
            result["properties"][twin] = {"type": "string", "description": text}
            if key in result.get("required", ()):
                result["required"].remove(key)
                result.setdefault("allOf", []).append({"oneOf": [{"required": [key]}, {"required": [twin]}]})
        return result


def takes_file(info: FieldInfo) -> bool:
    """Whether the field's own value (not one inside a mapping) is a secret."""
    kinds = (info.annotation, *get_args(info.annotation))
    marked = any(FromFile() in getattr(kind, "__metadata__", ()) for kind in kinds)
    return (
        marked
        or FromFile() in info.metadata
        or (SecretStr in kinds and get_origin(info.annotation) is not dict)
    )


def parse_network(value: object) -> IPv4Network | IPv6Network:
    """Read a network: `10.0.0.0/8`, or a single address. Raises ValueError."""
    if isinstance(value, (str, IPv4Network, IPv6Network)):
        return ip_network(value)
    raise ValueError("a network is text like 10.0.0.0/8")


Network = Annotated[
    IPv4Network | IPv6Network,
    PlainValidator(parse_network, json_schema_input_type=str),
    Words("a network such as `10.0.0.0/8`, `192.0.2.7` or `2001:db8::/32` (no bits after the prefix)"),
]
SecretUrl = Annotated[str, FromFile()]
